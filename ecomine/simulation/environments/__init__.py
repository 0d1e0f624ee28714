"""Decisions to learn by acting: environments with Gymnasium's API that run on the simulator's own laws.

    ecomine/Pricing-v0          what to ask for each product today      reward: margin
    ecomine/Replenishment-v0    what to order of each this evening      reward: margin less holding, lost sales, orders
    ecomine/Bidding-v0          what to bid for this contact            reward: what wins bring less their price

Importing this package registers them. `gymnasium.make(name, items=5000)` decides for all items at once: an action is an
array with an entry an item, the reward the money of all. `gymnasium.make_vec(name, num_envs=5000)` is the same shop
with a reward and an observation of each item's own, for learners that see many small problems. `shop=FOLDER` takes the
products and the true demand of a simulated shop in a workspace.
"""

from gymnasium.envs.registration import register, registry

NAMES = ("Pricing", "Replenishment", "Bidding")

for name in NAMES:
    # Registering again warns; a reload of this module may come here twice.
    if f"ecomine/{name}-v0" not in registry:
        register(
            id=f"ecomine/{name}-v0",
            entry_point=f"ecomine.simulation.environments.{name.lower()}:together",
            vector_entry_point=f"ecomine.simulation.environments.{name.lower()}:apart",
        )
