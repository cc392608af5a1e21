"""What is built from what: image names, and that every input is there."""

import pytest
from imagery import targets
from imagery.targets import Names


@pytest.mark.parametrize(
    ("names", "reference"),
    [
        pytest.param(Names(), "localhost/assay/triton:dev", id="local by default"),
        pytest.param(Names(tag="1.2"), "localhost/assay/triton:1.2", id="TAG"),
        pytest.param(Names(registry="reg.example/team/"), "reg.example/team/triton:dev", id="REGISTRY"),
    ],
)
def test_an_images_name(names: Names, reference: str) -> None:
    assert names.reference("triton") == reference


@pytest.mark.parametrize("name", targets.all_targets())
def test_every_input_of_a_target_exists(name: str) -> None:
    target = targets.all_targets()[name]
    assert target.dockerfile in target.inputs or target.dockerfile.parent in target.inputs
    assert [path for path in (*target.inputs, target.dockerfile) if not path.exists()] == []


def test_the_models_of_the_demo_are_all_built() -> None:
    assert {name for name in targets.all_targets() if name.startswith("minilm-")} == {
        "minilm-fp32",
        "minilm-int8",
        "minilm-smaller",
        "minilm-noise",
    }
