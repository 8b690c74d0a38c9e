"""From an exported bundle back to the recipe that reads it."""

from pydantic import TypeAdapter, ValidationError

from components.core.errors import BadInput
from components.core.export.bundle import RECIPE, Bundle
from components.core.export.prediction import Predictor
from components.recipes import AnyRecipe


def predictor_of(bundle: Bundle) -> Predictor:
    """What answers from a bundle.

    Raises:
        BadInput: The bundle's recipe is not one of this version, or its graphs cannot be used.
    """
    try:
        recipe: AnyRecipe = TypeAdapter(AnyRecipe).validate_python(dict(bundle.recipe))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise BadInput(
            f"the bundle's recipe is not one of this version: {'.'.join(map(str, problem['loc']))}: {problem['msg']}",
            where=str(bundle.folder / RECIPE),
            remedy="use the version of Thaw that wrote the bundle, or export again",
        ) from error
    predictor: Predictor = recipe.predictor(bundle)
    return predictor
