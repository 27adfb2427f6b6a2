"""Sum up the sales of each month, and fit a line through them."""

from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Print the months with their sums, and what comes next."""
    table = pd.read_csv(Path(__file__).with_name("sales.csv"), parse_dates=["day"])
    months = table.groupby(table["day"].dt.to_period("M"))["amount"].agg(["sum", "mean"])
    print(months.to_string())
    slope, start = np.polyfit(range(len(months)), months["sum"], 1)
    print(f"next: {start + slope * len(months):.1f}")


if __name__ == "__main__":
    main()
