"""A second engine: Python integers, lists of pairs and plain loops, one function a sentence of the specification.

It shares no code with the product and none of its tricks: every product is floored on unbounded integers, the median is
the chain's quickselect, liquid alpha walks the rows as the chain does. Slow, and only for comparison.
"""

from typing import Any

ONE = 1 << 32
HALF = 1 << 31
Row = list[tuple[int, int]]


def mul(a: int, b: int) -> int:
    return (a * b) >> 32


def div(a: int, b: int) -> int:
    if b == 0:
        return 0
    size = (abs(a) << 32) // abs(b)
    return size if (a < 0) == (b < 0) else -size


def u16(raw: int) -> int:
    return max(0, min(65535, (raw * 65535) >> 32))


def proportion(value: int) -> int:
    return (value << 32) // 65535


def normalized(values: list[int]) -> list[int]:
    total = sum(values)
    return [div(value, total) for value in values] if total else list(values)


def column_normalized(rows: list[Row], n: int) -> list[Row]:
    sums = [0] * n
    for row in rows:
        for j, value in row:
            sums[j] += value
    return [[(j, div(value, sums[j]) if sums[j] else value) for j, value in row] for row in rows]


def column_upscaled(rows: list[Row], n: int) -> list[Row]:
    tops = [0] * n
    for row in rows:
        for j, value in row:
            tops[j] = max(tops[j], value)
    return [[(j, div(value, tops[j]) if tops[j] else value) for j, value in row] for row in rows]


def exp_safe(x: int) -> int:
    x = max(-20 * ONE, min(20 * ONE, x))
    if x == 0:
        return ONE
    if x == ONE:
        return 11674931200
    size = abs(x)
    result, term = ONE + size, size
    for k in range(2, 32):
        term = mul(term, size) // k
        result += term
    return div(ONE, result) if x < 0 else result


def alpha_sigmoid(consensus: int, weight: int, bond: int, low: int, high: int, steepness: int) -> int:
    buy = max(0, min(ONE, weight - consensus))
    sell = max(0, min(ONE, bond - weight))
    difference = buy if weight >= bond else sell
    exponent = mul(div(steepness << 32, -100 << 32), difference - HALF)
    sigmoid = div(ONE, ONE + exp_safe(exponent))
    return max(low, min(high, low + mul(sigmoid, high - low)))


def weighted_median(stake: list[int], score: list[int], minority: int) -> int:
    """The chain's quickselect with the middle position as pivot."""
    part = list(range(len(stake)))
    low_edge, high_edge = 0, sum(stake)
    while True:
        if not part:
            return 0
        if len(part) == 1:
            return score[part[0]]
        pivot = score[part[len(part) // 2]]
        lower = [i for i in part if score[i] < pivot]
        upper = [i for i in part if score[i] > pivot]
        low_stake, high_stake = sum(stake[i] for i in lower), sum(stake[i] for i in upper)
        if minority < low_edge + low_stake and lower:
            part, high_edge = lower, low_edge + low_stake
        elif high_edge - high_stake <= minority and upper:
            part, low_edge = upper, high_edge - high_stake
        else:
            return pivot


def _looked_up(row: Row, n: int) -> list[int]:
    """Values by column, found by walking the row once: entries out of order are passed over."""
    found, position = [0] * n, 0
    for j in range(n):
        while position < len(row) and row[position][0] < j:
            position += 1
        if position < len(row) and row[position][0] == j:
            found[j] = row[position][1]
    return found


def run(state: dict[str, Any]) -> dict[str, Any]:
    """`derived` of a state whose vectors have the right lengths."""
    n, owner, now = state["n"], state["owner_uid"], state["current_block"]
    last_update, registered = state["last_update"], state["block_at_registration"]
    inactive = [update + state["activity_cutoff_blocks"] < now for update in last_update]
    counted = [s if s >= state["stake_threshold"] or i == owner else 0 for i, s in enumerate(state["stake"])]
    total = sum(counted)
    stake = [((s << 128) // (total << 64)) >> 32 if total else 0 for s in counted]
    permits = [bool(p) or i == owner for i, p in enumerate(state["validator_permits"])]
    new_permits = [s != 0 for s in stake]
    for i in sorted(range(n), key=lambda i: stake[i])[: max(0, n - state["max_allowed_validators"])]:
        new_permits[i] = False
    if owner is not None:
        new_permits[owner] = True
    active = normalized([0 if inactive[i] or not permits[i] else stake[i] for i in range(n)])

    weights: list[Row] = []
    for i in range(n):
        row: Row = [(j, w << 32) for j, w in state["weights_u16"][i]] if permits[i] else []
        row = [(j, w) for j, w in row if j != i or i == owner]
        row = [(j, w) for j, w in row if not last_update[i] <= registered[j]]
        commit = state["commit_blocks"][i]
        if state["commit_reveal_on"] and commit is not None:
            row = [(j, w) for j, w in row if not commit < registered[j]]
        row_sum = sum(w for _, w in row)
        weights.append([(j, div(w, row_sum)) for j, w in row] if row_sum else row)

    voters = [i for i in range(n) if active[i] > 0]
    shares = normalized([active[i] for i in voters])
    minority = sum(shares) - proportion(state["kappa_u16"])
    columns = [dict(weights[i]) for i in voters]
    consensus = [weighted_median(shares, [votes.get(j, 0) for votes in columns], minority) for j in range(n)]

    clipped: list[Row] = [
        [(j, min(w, consensus[j])) for j, w in row if w <= consensus[j] or consensus[j] > 0] for row in weights
    ]
    trust = [sum(w for _, w in row) for row in clipped]
    ranks = [0] * n
    for i, row in enumerate(clipped):
        for j, w in row:
            ranks[j] += mul(active[i], w)
    incentive = normalized(ranks)

    beta = proportion(state["bonds_penalty_u16"])
    if beta == 0:
        for_bonds = weights
    elif beta == ONE:
        for_bonds = clipped
    else:
        for_bonds = []
        for row, clip in zip(weights, clipped, strict=True):
            whole, cut = dict(row), dict(clip)
            mixed = [(j, whole.get(j, 0) + mul(beta, cut.get(j, 0) - whole.get(j, 0))) for j in range(n)]
            for_bonds.append([(j, w) for j, w in mixed if w > 0])

    last_tempo = state["last_tempo_for_bond_mask"]
    stored = [[(j, b) for j, b in row if not last_tempo <= registered[j]] for row in state["bonds_u16"]]
    alpha = ONE - (((state["bonds_moving_average"] << 64) // 1_000_000) >> 32)
    dividends, bonds = (_yuma3 if state["yuma3_on"] else _classic)(
        state, for_bonds, stored, alpha, consensus, incentive, active
    )

    combined = [i + d for i, d in zip(incentive, dividends, strict=True)]
    emission_sum = sum(combined)
    if emission_sum:
        server, validator = ([div(x, emission_sum) for x in vector] for vector in (incentive, dividends))
        combined = [div(x, emission_sum) for x in combined]
    else:
        server, validator = incentive, active if sum(active) else stake
        combined = validator
    rao = state["rao_emission"]
    return {
        "normalised_stake_raw": stake,
        "active_stake_raw": active,
        "consensus_raw": consensus,
        "validator_trust_raw": trust,
        "incentive_raw": incentive,
        "dividends_raw": dividends,
        "normalised_combined_emission_raw": combined,
        "server_emission": [(x * rao) >> 32 for x in server],
        "validator_emission": [(x * rao) >> 32 for x in validator],
        "combined_emission": [(x * rao) >> 32 for x in combined],
        "consensus_u16": [u16(x) for x in consensus],
        "incentive_u16": [u16(x) for x in incentive],
        "dividends_u16": [u16(x) for x in dividends],
        "validator_trust_u16": [u16(x) for x in trust],
        "new_validator_permits": new_permits,
        "bonds_u16_out": [[[j, u16(b)] for j, b in row] if new_permits[i] else [] for i, row in enumerate(bonds)],
        "ema_bonds_raw": [[[j, b] for j, b in row] for row in bonds],
    }


def _plain_ema(new: list[Row], old: list[Row], alpha: int, n: int) -> list[Row]:
    rows = []
    for new_row, old_row in zip(new, old, strict=True):
        sums = [0] * n
        for j, value in new_row:
            sums[j] += mul(alpha, value)
        for j, value in old_row:
            sums[j] += mul(ONE - alpha, value)
        rows.append([(j, value) for j, value in enumerate(sums) if value > 0])
    return rows


def _yuma3(
    state: dict[str, Any],
    for_bonds: list[Row],
    stored: list[Row],
    alpha: int,
    consensus: list[int],
    incentive: list[int],
    active: list[int],
) -> tuple[list[int], list[Row]]:
    n = state["n"]
    old: list[Row] = [[(j, proportion(b)) for j, b in row] for row in stored]
    if state["liquid_alpha_on"] and any(consensus):
        mode = state.get("liquid_alpha_consensus_mode", "Current")
        previous = mode == "Previous" or (mode == "Auto" and state["bonds_penalty_u16"] == 65535)
        compared = [proportion(c) for c in state["previous_consensus_u16"]] if previous else consensus
        low, high = proportion(state["alpha_low_u16"]), proportion(state["alpha_high_u16"])
        bonds = []
        for new_row, old_row in zip(for_bonds, old, strict=True):
            seen_new, seen_old, held = _looked_up(new_row, n), _looked_up(old_row, n), dict(old_row)
            out: Row = []
            for j, w in new_row:
                a = alpha_sigmoid(compared[j], seen_new[j], seen_old[j], low, high, state["alpha_sigmoid_steepness"])
                value = min(ONE, mul(ONE - a, held.get(j, 0)) + max(0, mul(a, w)))
                if value > 0:
                    out.append((j, value))
            bonds.append(out)
    else:
        bonds = _plain_ema(for_bonds, old, alpha, n)
    shares = column_normalized(bonds, n)
    held_total = [sum(mul(share, incentive[j]) for j, share in row) for row in shares]
    return normalized([mul(held, a) for held, a in zip(held_total, active, strict=True)]), bonds


def _classic(
    state: dict[str, Any],
    for_bonds: list[Row],
    stored: list[Row],
    alpha: int,
    consensus: list[int],
    incentive: list[int],
    active: list[int],
) -> tuple[list[int], list[Row]]:
    n = state["n"]
    old = column_normalized([[(j, b << 32) for j, b in row] for row in stored], n)
    delta = column_normalized([[(j, mul(w, active[i])) for j, w in row] for i, row in enumerate(for_bonds)], n)
    bonds = column_normalized(_plain_ema(delta, old, alpha, n), n)
    dividends = normalized([sum(mul(b, incentive[j]) for j, b in row) for row in bonds])
    return dividends, column_upscaled(bonds, n)
