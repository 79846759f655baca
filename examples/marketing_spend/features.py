"""What marketing wants to know of its weekly spend and signups."""

import pandas as pd


def spend_per_signup(spend: pd.Series, signups: pd.Series) -> pd.Series:
    """Dollars spent for each signup of the week."""
    return spend / signups


def spend_mean_3_weeks(spend: pd.Series) -> pd.Series:
    """Rolling mean of the spend over three weeks, in dollars."""
    return spend.rolling(3).mean()


def signups_mean_3_weeks(signups: pd.Series) -> pd.Series:
    """Rolling mean of the signups over three weeks."""
    return signups.astype("float64").rolling(3).mean()


def spend_mean(spend: pd.Series) -> float:
    """Mean spend of a week, in dollars."""
    return float(spend.mean())


def spend_std_dev(spend: pd.Series) -> float:
    """Standard deviation of the weekly spend, in dollars."""
    return float(spend.std())


def spend_zero_mean(spend: pd.Series, spend_mean: float) -> pd.Series:
    """Spend less its mean, in dollars."""
    return spend - spend_mean


def spend_zero_mean_unit_variance(spend_zero_mean: pd.Series, spend_std_dev: float) -> pd.Series:
    """Spend in standard deviations from its mean."""
    return spend_zero_mean / spend_std_dev
