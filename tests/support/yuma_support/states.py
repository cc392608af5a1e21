"""States of one epoch in the JSON form of the reference vectors: by the vectors' rules, or at random."""

import random
from typing import Any

State = dict[str, Any]


def base_state(n: int, **changes: Any) -> State:
    """A subnet of `n` uids in which nothing has happened yet."""
    state: State = {
        "n": n,
        "current_block": 10_000,
        "tempo": 360,
        "activity_cutoff_blocks": 5_000,
        "last_step_block": 0,
        "last_tempo_for_bond_mask": 9_640,
        "stake": [0] * n,
        "stake_threshold": 0,
        "owner_uid": None,
        "validator_permits": [False] * n,
        "max_allowed_validators": 64,
        "last_update": [9_990] * n,
        "block_at_registration": [0] * n,
        "weights_u16": [[] for _ in range(n)],
        "bonds_u16": [[] for _ in range(n)],
        "kappa_u16": 32_767,
        "bonds_penalty_u16": 65_535,
        "bonds_moving_average": 900_000,
        "yuma3_on": True,
        "liquid_alpha_on": False,
        "alpha_low_u16": 45_875,
        "alpha_high_u16": 58_982,
        "alpha_sigmoid_steepness": 1_000,
        "commit_reveal_on": False,
        "commit_blocks": [None] * n,
        "rao_emission": 1_000_000_000,
    }
    unknown = set(changes) - set(state) - {"liquid_alpha_consensus_mode", "previous_consensus_u16"}
    if unknown:
        raise KeyError(f"base_state: {sorted(unknown)} are no keys of a state")
    return state | changes


def generated_state(n: int, validators: int, **changes: Any) -> State:
    """The rule of `derived/256x64_generated`, for any size: every validator votes on and is bonded to every miner."""
    miners = range(validators, n)
    return base_state(
        n,
        stake=[10**12 + i * i * 7919 * 10**9 if i < validators else 0 for i in range(n)],
        validator_permits=[i < validators for i in range(n)],
        max_allowed_validators=validators,
        weights_u16=[
            [[j, 1 + (i * 7919 + j * 104729 + i * j * 31) % 65535] for j in miners] if i < validators else []
            for i in range(n)
        ],
        bonds_u16=[
            [[j, 1 + (i * 3571 + j * 7907 + i * j * 17) % 65535] for j in miners] if i < validators else []
            for i in range(n)
        ],
        **changes,
    )


def random_state(seed: int, n_max: int = 12) -> State:
    """Everything at random, with the edges of every rule made likely: ties, zeros, owners, fresh uids, odd settings."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    n = rng.randint(1, n_max)
    now = rng.choice([1, 359, 10_000, 2**40])
    tempo = rng.choice([1, 99, 360])
    last_step = rng.choice([0, 0, max(0, now - tempo), max(0, now - 1)])
    near = [max(0, now - d) for d in (0, 1, tempo - 1, tempo, tempo + 1, 4999, 5000, 5001, 9000)]
    some_stake = rng.choice([[0, 1, 10**9], [7, 7, 7], [0, 1, 2, 3], [10**15, 3 * 10**17, 1]])
    unrest = rng.choice([0.02, 0.1, 0.5])  # how often a uid is late, new or without a permit
    u16s = [0, 0, 1, 2, 32766, 32767, 32768, 65534, 65535, rng.randint(0, 65535), rng.randint(0, 65535)]

    def row(density: float) -> list[list[int]]:
        uids = [j for j in range(n) if rng.random() < density]
        if rng.random() < 0.1:
            rng.shuffle(uids)
        return [[j, rng.choice(u16s)] for j in uids]

    low, high = sorted(rng.choice(u16s) for _ in range(2))
    return base_state(
        n,
        current_block=now,
        tempo=tempo,
        activity_cutoff_blocks=rng.choice([1, 5000, 10**6]),
        last_step_block=last_step,
        last_tempo_for_bond_mask=last_step + 1 if last_step else max(0, now - tempo),
        stake=[rng.choice([*some_stake, rng.randint(0, 10**12)]) for _ in range(n)],
        stake_threshold=rng.choice([0, 0, 1, 2, 10**6]),
        owner_uid=rng.choice([None, rng.randrange(n)]),
        validator_permits=[rng.random() >= unrest for _ in range(n)],
        max_allowed_validators=rng.choice([0, 1, 2, n, 64]),
        last_update=[rng.choice(near) if rng.random() < unrest else now for _ in range(n)],
        block_at_registration=[rng.choice(near) if rng.random() < unrest else 0 for _ in range(n)],
        weights_u16=[row(rng.choice([0.0, 0.4, 0.8, 1.0])) for _ in range(n)],
        bonds_u16=[row(rng.choice([0.0, 0.4, 0.8, 1.0])) for _ in range(n)],
        kappa_u16=rng.choice([32767, 32767, *u16s]),
        bonds_penalty_u16=rng.choice([0, 65535, 65535, *u16s]),
        bonds_moving_average=rng.choice([0, 900_000, 975_000, 999_999, 1_000_000, rng.randint(0, 10**6)]),
        yuma3_on=rng.random() < 0.7,
        liquid_alpha_on=rng.random() < 0.5,
        alpha_low_u16=low,
        alpha_high_u16=high,
        alpha_sigmoid_steepness=rng.choice([1000, 1000, 10, 0, 1, -1, -1000, 2000, 5000, 32767, -32768]),
        commit_reveal_on=rng.random() < 0.4,
        commit_blocks=[rng.choice(near) if rng.random() < unrest else None for _ in range(n)],
        rao_emission=rng.choice([0, 1, 10**9, 2**33 + 5, 2**64 - 1]),
        liquid_alpha_consensus_mode=rng.choice(["Current", "Current", "Previous", "Auto"]),
        previous_consensus_u16=[rng.choice(u16s) for _ in range(n)],
    )
