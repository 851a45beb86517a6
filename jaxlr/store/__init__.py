"""A sweep on disk: what is finished, what is on its way, and who writes it.

    zarr.json           the group; its attributes hold the manifest
    loss/ status/ ...   an array for every variable, `(setting, seed, ...)`, in chunks of whole blocks
    engine/settings-N   which setting stands in which row; the newest that the manifest names counts
    engine/carries/     what the block in training carries, two generations
    engine/lock         who writes

The order of writing makes it whole at every moment: a member is there when its `status` is, a setting when the manifest
names a table with it.
"""

from jaxlr.store.carries import State
from jaxlr.store.manifest import Manifest, Variable, differences
from jaxlr.store.places import Given, place
from jaxlr.store.reading import contents, dataset, open
from jaxlr.store.writing import Store, writing

__all__ = [
    "Given",
    "Manifest",
    "State",
    "Store",
    "Variable",
    "contents",
    "dataset",
    "differences",
    "open",
    "place",
    "writing",
]
