"""Fraud is hard to find, but not hopeless: the bounds that `simulator.fraud` is tuned for.

Point-in-time features are computed straight from the landing files, as any sensible team would build them: each uses
only moments strictly before the claim, except what the claim itself says. Distinct counts come from first meetings:
how many (account, claimant) pairs had been seen before.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import lightgbm as lgb
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

NINO = "substr(upper(regexp_replace({}, '[^A-Za-z0-9]', '', 'g')), 1, 8)"

_CLAIMS = """
create or replace table claim as
with unioned as (
    select claim_ref as claim_id, 'cjrs' as scheme, submitted_at as made, employee_name as name,
        {cjrs_nino} as nino, employer_paye_ref as employer, employer_name as payee, null as postcode, null as phone,
        null as household, furlough_start as period_start, furlough_end as period_end, claim_amount as amount,
        reference_pay as basis, least(0.8 * reference_pay, 2500) * furloughed_hours / nullif(normal_hours, 0) as due,
        worked_hours / nullif(normal_hours, 0) as part, sort_code || account_number as account, account_name, device_id
    from read_csv('{root}/claims/cjrs/*.csv', all_varchar = false, types = {{'account_number': 'varchar'}})
    union all by name
    select claim_id, 'seiss' as scheme, submitted_at as made, claimant_name as name, {nino} as nino,
        claimant_name as payee, postcode, amount, three_month_profit as basis, turnover_fall_percent / 100 as part,
        least(case grant_number when 2 then 0.7 else 0.8 end * three_month_profit,
              case grant_number when 2 then 6570 else 7500 end) as due,
        sort_code || account_number as account, account_name, device_id
    from read_csv('{root}/claims/seiss/*.csv', types = {{'account_number': 'varchar', 'utr': 'varchar'}})
    union all by name
    select reference as claim_id, 'ssp' as scheme, submitted_at as made, employee_name as name, {cjrs_nino} as nino,
        paye_ref as employer, employer_name as payee, phone, period_start, period_end, amount,
        employer_size as basis, sick_days / 14 as part, sick_days * 95.85 / 7 as due,
        sort_code || account_number as account, account_name, device_id
    from read_csv('{root}/claims/ssp/*.csv', types = {{'account_number': 'varchar', 'phone': 'varchar'}})
    union all by name
    select advance_id as claim_id, 'uc_advance' as scheme, requested_at as made, customer_name as name,
        {uc_nino} as nino, customer_name as payee, postcode, household_ref as household, amount,
        estimated_award as basis, estimated_award as due, repayment_months / 24 as part,
        sort_code || account_number as account, account_name, device_id
    from read_csv('{root}/claims/uc_advance/*.csv', types = {{'account_number': 'varchar'}})
)
select *, row_number() over (order by made, claim_id) as seq from unioned;

create or replace table known as
select {nino} as nino, 'tax' as list, first_name, last_name, postcode, date_of_birth as born
from read_csv('{root}/identity/tax_records/*.csv', all_varchar = true) where nino is not null
union all
select {benefit_nino}, 'benefit', forenames, surname, postcode, null
from read_csv('{root}/identity/benefit_records/*.csv', all_varchar = true)
where national_insurance_number is not null;

create or replace table contact as
select {nino} as nino, started_at as made, reason, channel, device_id
from read_csv('{root}/interactions/contacts/*.csv', types = {{'phone': 'varchar'}}) where nino is not null;

create or replace table truth as select claim_id, fraud, pattern from read_csv('{root}/_truth/claims.csv');
"""

_ENTITIES = {"acct": "account", "dev": "device_id", "emp": "employer", "nino": "nino", "pc": "postcode", "ph": "phone",
             "hh": "household"}  # fmt: skip
_PAIRS = [("account", "nino"), ("account", "employer"), ("account", "device_id"), ("account", "account_name"),
          ("device_id", "nino"), ("device_id", "account"), ("device_id", "employer"), ("employer", "account"),
          ("employer", "nino"), ("employer", "device_id"), ("nino", "account"), ("nino", "employer"),
          ("nino", "device_id"), ("postcode", "account"), ("postcode", "nino"), ("phone", "employer")]  # fmt: skip


def _window_columns() -> list[str]:
    columns = []
    for short, entity in _ENTITIES.items():
        guard = f"case when {entity} is not null then"
        over = f"over (partition by {entity} order by made"
        earlier = "range between unbounded preceding and interval 1 second preceding"
        columns.append(f"{guard} count(*) {over} {earlier}) end as {short}_before")
        for label, span in (("1h", "1 hour"), ("1d", "1 day"), ("7d", "7 days")):
            frame = f"range between interval {span} preceding and interval 1 second preceding"
            columns.append(f"{guard} count(*) {over} {frame}) end as {short}_{label}")
        columns.append(f"{guard} date_diff('hour', min(made) {over}), made) end as {short}_age_h")
        columns.append(f"{guard} date_diff('hour', max(made) {over} {earlier}), made) end as {short}_gap_h")
        columns.append(f"{guard} sum(amount) {over} {earlier}) end as {short}_amount_before")
    return columns


def build(landing: Path) -> duckdb.DuckDBPyConnection:
    """A connection with table `feature`: claim_id, scheme, made, fraud, pattern and one column per feature."""
    con = duckdb.connect()
    con.execute("set threads = 2")
    con.execute("set enable_progress_bar = false")
    con.execute(
        _CLAIMS.format(
            root=landing,
            nino=NINO.format("nino"),
            cjrs_nino=NINO.format("employee_nino"),
            uc_nino=NINO.format("customer_nino"),
            benefit_nino=NINO.format("national_insurance_number"),
        )
    )
    firsts = ",\n".join(
        f"case when {a} is not null and {b} is not null "
        f"then row_number() over (partition by {a}, {b} order by seq) = 1 end as first_{a}_{b}"
        for a, b in _PAIRS
    )
    distinct = ",\n".join(
        f"case when {a} is not null then sum(first_{a}_{b}::int) over (partition by {a} order by made "
        f"range between unbounded preceding and interval 1 second preceding) end as n_{a}_{b}"
        for a, b in _PAIRS
    )
    con.execute(
        f"""
        create or replace table windowed as
        with met as (select *, {firsts} from claim)
        select claim_id, {", ".join(_window_columns())}, {distinct},
            {", ".join(f"(first_{a}_{b} is true)::int as new_{a}_{b}" for a, b in _PAIRS)},
            basis / nullif(lag(basis) over (partition by nino, scheme order by seq), 0) as basis_change,
            basis / nullif(avg(basis) over (partition by employer, scheme order by made
                range between unbounded preceding and interval 1 second preceding), 0) as basis_to_employer,
            count(*) filter (scheme = 'cjrs') over (partition by nino order by made
                range between unbounded preceding and interval 1 second preceding) as nino_cjrs_before,
            count(*) filter (scheme = 'ssp') over (partition by nino order by made
                range between unbounded preceding and interval 1 second preceding) as nino_ssp_before
        from met
        """
    )
    con.execute(
        """
        create or replace table person as
        select nino, count(*) as records, count(distinct list) as lists, bool_or(list = 'tax')::int as in_tax,
            bool_or(list = 'benefit')::int as in_benefit, any_value(last_name) as last_name,
            list(distinct upper(last_name)) as surnames, list(distinct postcode) as postcodes,
            max(2020 - try_cast(substr(born, 1, 4) as int)) as age
        from known group by nino;
        create or replace table contacted as
        select claim_id, count(*) as contacts, count(*) filter (k.made > c.made - interval 30 days) as contacts_30d,
            count(*) filter (k.made > c.made - interval 14 days) as contacts_14d,
            count(*) filter (k.channel = 'web') as contacts_web,
            count(*) filter (k.reason = 'change_bank_details' and k.made > c.made - interval 30 days) as bank_changes,
            count(*) filter (k.device_id = c.device_id) as same_device,
            count(*) filter (k.device_id <> c.device_id) as other_device,
            date_diff('hour', max(k.made), any_value(c.made)) as contact_gap_h
        from claim c join contact k on k.nino = c.nino and k.made < c.made group by claim_id;
        create or replace table overlap as
        select distinct c.claim_id from claim c join claim o
            on o.nino = c.nino and o.scheme <> c.scheme and o.made < c.made
            and o.period_start <= c.period_end and o.period_end >= c.period_start;
        """
    )
    con.execute(
        """
        create or replace table feature as
        select c.claim_id, c.scheme, c.made, t.fraud, t.pattern,
            w.* exclude (claim_id),
            (c.nino is null)::int as nino_missing,
            (c.nino is not null and not regexp_full_match(c.nino, '[A-Z]{2}[0-9]{6}'))::int as nino_malformed,
            coalesce(p.records, 0) as records, coalesce(p.lists, 0) as lists, coalesce(p.in_tax, 0) as in_tax,
            coalesce(p.in_benefit, 0) as in_benefit, p.age,
            case when p.nino is not null then list_contains(p.surnames, upper(split_part(c.name, ' ', -1)))::int end
                as surname_known,
            case when p.nino is not null and c.postcode is not null
                then list_contains(p.postcodes, c.postcode)::int end as postcode_known,
            jaro_winkler_similarity(upper(c.payee), upper(c.account_name)) as name_similarity,
            (split_part(upper(c.payee), ' ', -1) = split_part(upper(c.account_name), ' ', -1))::int as last_word_same,
            contains(upper(c.account_name), split_part(upper(c.payee), ' ', -1))::int as surname_on_account,
            contains(upper(c.account_name), split_part(upper(c.payee), ' ', 1))::int as first_on_account,
            c.amount, c.basis, c.amount / nullif(c.due, 0) as amount_to_due,
            c.amount / nullif(c.basis, 0) as amount_to_basis,
            (c.amount > c.due * 1.005)::int as over_due, c.part, (c.amount % 1 = 0)::int as whole_pounds,
            hour(c.made) as hour, (hour(c.made) < 7 or hour(c.made) >= 22)::int as night, isodow(c.made) as weekday,
            date_diff('day', c.period_start, c.period_end) as period_days,
            date_diff('day', c.period_end, c.made) as period_lag,
            (o.claim_id is not null)::int as overlaps_other_scheme,
            coalesce(k.contacts, 0) as contacts, coalesce(k.contacts_30d, 0) as contacts_30d,
            coalesce(k.contacts_14d, 0) as contacts_14d, coalesce(k.contacts_web, 0) as contacts_web,
            coalesce(k.bank_changes, 0) as bank_changes, coalesce(k.same_device, 0) as same_device,
            coalesce(k.other_device, 0) as other_device, k.contact_gap_h
        from claim c
        join windowed w using (claim_id) join truth t using (claim_id)
        left join person p on p.nino = c.nino
        left join contacted k using (claim_id) left join overlap o using (claim_id)
        """
    )
    return con


@pytest.fixture(scope="module")
def feature(landing):
    """All claims in order of time, one column per feature, with the truth."""
    with build(landing) as con:
        return con.execute("select * from feature order by made, claim_id").df()


def _columns(feature):
    return [name for name in feature.columns if name not in ("claim_id", "made", "fraud", "pattern", "scheme")]


def test_no_single_feature_tells_fraud_from_honest_claims(feature):
    """A column that betrays fraud would make every model look good and every comparison meaningless."""
    betrayed = {}
    for name in _columns(feature):
        values = feature[name].astype(float)
        for filled in (values.fillna(values.min() - 1), values.fillna(values.max() + 1)):
            auc = roc_auc_score(feature.fraud, filled)
            if max(auc, 1 - auc) > 0.75:
                betrayed[name] = round(max(auc, 1 - auc), 3)
    assert betrayed == {}


def test_a_gradient_boosting_model_finds_a_good_part_of_later_fraud_and_not_all(feature):
    """Room both ways: better features can still gain, and careless work loses."""
    inputs = feature[_columns(feature)].astype(float).assign(scheme=feature.scheme.astype("category"))
    cut = int(len(feature) * 0.6)
    options = {
        "objective": "binary", "learning_rate": 0.06, "num_leaves": 15, "min_data_in_leaf": 60, "num_threads": 1,
        "feature_fraction": 0.6, "lambda_l2": 5, "verbose": -1, "seed": 1, "deterministic": True,
    }  # fmt: skip
    model = lgb.train(options, lgb.Dataset(inputs[:cut], feature.fraud[:cut]), 150)
    auc = roc_auc_score(feature.fraud[cut:], np.asarray(model.predict(inputs[cut:])))
    assert 0.80 <= auc <= 0.92
