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
    Tried(repository="0xPolygon/kurtosis-pos", arguments=(".github/configs/**/*.yml",)),
    Tried(repository="EspressoSystems/espresso-optimism-package", arguments=(".github/tests/**/*.yaml",)),
    Tried(repository="0xBloctopus/thorchain-package", arguments=("example*.yaml", "examples/*.yaml")),
    Tried(repository="LZeroAnalytics/cardano-package", arguments=("*_params.yaml",)),
    Tried(repository="LZeroAnalytics/provenance-package", arguments=("examples/*.yaml",)),
    Tried(repository="LZeroAnalytics/solana-package", arguments=("sample*_params.yaml",)),
    Tried(repository="kurtosis-tech/avalanche-package", arguments=("args.json",)),
    Tried(
        repository="kurtosis-tech/aptos-package", path="testnet-topology", arguments=("testnet-topology/args*.json",)
    ),
    Tried(repository="kurtosis-tech/near-package"),
    Tried(repository="kurtosis-tech/awesome-kurtosis", path="quickstart"),
)

KNOWN: dict[str, dict[str, str]] = {
    "0xPolygon/kurtosis-pos": {
        "cannot read 'tmp/": "the file is one that its user has to put there",
    },
    "ethpandaops/ethereum-package": {
        'got an unexpected keyword argument "tolerations"': "a dependency is older here than it needs",
        "cannot upload '../binary/": "the file is one that its user has to put there",
    },
    "ethpandaops/optimism-package": {
        "list has no .items": "the argument file is of an earlier form",
    },
    "HugoByte/polkadot-kurtosis-package": {
        "unhandled index operation NoneType[string]": "its default for relaychain is None, which it reads as a dict",
        'unexpected keyword argument "chain-type"': "the argument file is of an earlier form",
    },
    "HugoByte/polkadot-kurtosis-package/chopsticks": {
        "the port id 'TCP' is invalid": "Kurtosis refuses this port id as well",
    },
    "LZeroAnalytics/cosmos-package": {
        "the port id 'proxy_0' is invalid": "Kurtosis refuses this port id as well",
    },
    "agglayer/optimism-package": {
        "module has no .get_client_tolerations": "a dependency moved on: it names no commit of ethereum-package",
    },
    "bharath-123/db-adminer-package": {
        "missing 5 arguments": "it has no defaults",
    },
    "kurtosis-tech/grafana-package": {
        "missing 1 argument (prometheus_url)": "it has no default for this argument, and its args.json lacks it",
    },
    "xavier-romero/kurtosis-blockscout": {
        'key "rpc_url" not in dict': "it has no defaults",
    },
}
"""Of packages by title: what is in the message of a problem that is the package's own, and what it is."""
