"""Which public packages are tried, with which argument files. Nothing of them is kept here; ``--packages DIR`` has
them as ``DIR/<owner>/<name>``, each a git directory or a work tree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A package by its repository, and globs of the argument files in it; ``path`` is its folder there."""

    repository: str
    arguments: tuple[str, ...] = ()
    path: str = ""

    @property
    def title(self) -> str:
        return f"{self.repository}/{self.path}" if self.path else self.repository


PACKAGES = (
    Tried(
        repository="ethpandaops/ethereum-package",
        arguments=(".github/tests/**/*.yaml", ".github/tests/**/*.yaml_norun", "network_params.yaml"),
    ),
    Tried(repository="ethpandaops/optimism-package", arguments=(".github/tests/**/*.yaml", "network_params*.yaml")),
    Tried(
        repository="0xPolygon/kurtosis-cdk",
        arguments=(".github/tests/**/*.yml", "test-configs/*.yml", "docs/**/*.yml", "params.yml"),
    ),
    Tried(repository="HugoByte/polkadot-kurtosis-package", arguments=("config.json", "testdata/*.json")),
    Tried(
        repository="HugoByte/polkadot-kurtosis-package", path="chopsticks", arguments=("chopsticks/chopsticks.json",)
    ),
    Tried(repository="LZeroAnalytics/cosmos-package", arguments=("samples/*.yml",)),
    Tried(repository="LZeroAnalytics/layerzero-package", arguments=("network_*.yaml",)),
    Tried(repository="LZeroAnalytics/hyperlane-package", arguments=("config/*.yaml", "examples/*.json")),
    Tried(repository="agglayer/optimism-package", arguments=(".github/tests/**/*.yaml", "network_params.yaml")),
    Tried(repository="kurtosis-tech/postgres-package"),
    Tried(repository="kurtosis-tech/redis-package"),
    Tried(repository="kurtosis-tech/prometheus-package", arguments=("args.json",)),
    Tried(repository="kurtosis-tech/grafana-package", arguments=("args.json",)),
    Tried(repository="xavier-romero/kurtosis-blockscout", arguments=("configs/*.yaml",)),
    Tried(repository="bharath-123/db-adminer-package"),
)
