"""Count, mean and covariance of features that arrive in pieces, in float64."""

import numpy as np

# Rows converted to float64 at once: 32 MiB at 2,048 features.
ROWS_AT_ONCE = 2048


class FeatureStatistics:
    """Accumulates the count, mean and covariance of feature vectors.

    A piece of n rows with mean b and scatter S_b (the sum of outer products of
    centred rows) is merged with N rows of mean a and scatter S_a by

        S = S_a + S_b + (b - a)(b - a)' N n / (N + n)

    which, unlike E[x x'] - E[x] E[x]', does not subtract large sums.

    References:
        Chan, Golub, LeVeque: Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances (1979).
    """

    def __init__(self, num_features: int) -> None:
        """Starts with no rows; raises ValueError if `num_features` is below 1."""
        if num_features < 1:
            raise ValueError(
                f"Expected num_features >= 1. Received: num_features={num_features}"
            )
        self.num_features = num_features
        self.count = 0
        self._mean = np.zeros(num_features)
        self._scatter = np.zeros((num_features, num_features))

    @classmethod
    def of(cls, features: np.ndarray) -> "FeatureStatistics":
        """Returns the statistics of one array, floating point [count, num_features]."""
        features = checked_features(features)
        statistics = cls(features.shape[1])
        statistics.update(features)
        return statistics

    def update(self, features: np.ndarray) -> None:
        """Adds rows, finite floating point [count, num_features]; or none at all.

        Raises:
            ValueError: If the array is anything else; then nothing is added.
        """
        features = checked_features(features)
        if features.shape[1] != self.num_features:
            raise ValueError(
                f"Expected features [count, {self.num_features}]. "
                f"Received: {list(features.shape)}"
            )
        for first in range(0, len(features), ROWS_AT_ONCE):
            self._add(features[first : first + ROWS_AT_ONCE].astype(np.float64))

    def _add(self, rows: np.ndarray) -> None:
        count = self.count + len(rows)
        mean = rows.mean(0)
        centred = rows - mean
        shift = mean - self._mean
        self._scatter += centred.T @ centred
        self._scatter += np.outer(shift, shift) * (self.count * len(rows) / count)
        self._mean += shift * (len(rows) / count)
        self.count = count

    @property
    def mean(self) -> np.ndarray:
        """The mean, float64 [num_features]; needs one row or more."""
        self._need(1)
        return self._mean.copy()

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance (over count - 1), float64 [features, features]."""
        self._need(2)
        return self._scatter / (self.count - 1)

    def _need(self, count: int) -> None:
        if self.count < count:
            raise ValueError(
                f"Expected statistics of {count} or more rows. Received: {self.count}"
            )


def checked_features(features: np.ndarray) -> np.ndarray:
    """Returns the array if it is finite floating point [count, num_features].

    Raises:
        ValueError: If it is not.
    """
    features = np.asarray(features)
    if features.ndim != 2 or not features.shape[1] or features.dtype.kind != "f":
        raise ValueError(
            "Expected features, floating point [count, num_features]. "
            f"Received: {features.dtype} {list(features.shape)}"
        )
    is_finite = np.isfinite(features).all(1)
    if not is_finite.all():
        raise ValueError(
            "Expected finite features. Received: NaN or infinity in "
            f"{np.count_nonzero(~is_finite)} of {len(features)} rows, "
            f"first in row {np.argmin(is_finite)}"
        )
    return features
