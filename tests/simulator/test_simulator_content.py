"""What the simulated year looks like: people and their records, the rules of the schemes, patterns, planted disparity.

Bounds are four standard errors or wider around what the modules' docstrings promise, for the one simulation used.
"""

from __future__ import annotations

import re

import pytest

NINO8 = "substr(upper(replace({}, ' ', '')), 1, 8)"
EU = "('Polish', 'Romanian', 'Lithuanian', 'Portuguese', 'Italian')"


def test_the_two_departments_err_at_the_rates_told(sql):
    """Identity resolution is graded against these errors, so they must be there."""
    [(missing, malformed, email)] = sql(r"""select avg((nino is null)::int),
        avg((nino is not null and not regexp_full_match(nino, '[A-Z]{2}\d{6}[A-D]'))::int),
        avg((not regexp_full_match(email, '[a-z0-9.]+@example\.(com|org|net)'))::int) from tax""")
    assert 0.008 < missing < 0.017
    assert 0.0005 < malformed < 0.006
    assert email == 0
    for system in ("tax_records", "benefit_records"):
        [(twice,)] = sql(f"""select 1 - count(distinct person_id) / count(*) from persons
            where record_system = '{system}'""")
        assert 0.013 < twice < 0.027
    both = f"""select t.nino is null or b.national_insurance_number is null
            or {NINO8.format("t.nino")} <> {NINO8.format("b.national_insurance_number")} as nino,
        strptime(b.dob, '%d/%m/%Y') <> t.date_of_birth::date as born,
        month(strptime(b.dob, '%d/%m/%Y')) = day(t.date_of_birth::date)
            and day(strptime(b.dob, '%d/%m/%Y')) = month(t.date_of_birth::date)
            and strptime(b.dob, '%d/%m/%Y') <> t.date_of_birth::date as swapped,
        t.first_name <> split_part(b.forenames, ' ', 1) as first, t.last_name <> b.surname as last,
        t.postcode <> b.postcode as postcode
        from tax t join persons p on p.record_id = t.record_id
        join persons q on q.person_id = p.person_id and q.record_system = 'benefit_records'
        join benefit b on b.customer_ref = q.record_id"""
    errors = ", ".join(f"avg({name}::int)" for name in ("nino", "born", "swapped", "first", "last", "postcode"))
    [shares] = sql(f"select {errors} from ({both})")
    low, high = (0.025, 0.015, 0.008, 0.06, 0.04, 0.02), (0.06, 0.05, 0.03, 0.16, 0.13, 0.08)
    assert all(a < share < b for a, share, b in zip(low, shares, high, strict=True)), shares


def test_no_person_in_the_records_is_impossible(sql):
    [(oldest, youngest, updated)] = sql("""select min(date_of_birth), max(date_of_birth), max(updated_at) from tax""")
    assert oldest > "1952"
    assert youngest < "2004"
    assert updated < "2020-04-20"
    assert sql(r"""select count(*) from (select postcode from tax union all select postcode from benefit) where
        not regexp_full_match(postcode, '[A-Z]{1,2}\d{1,2} \d[ABD-HJLNP-UW-Z]{2}')""") == [(0,)]


def test_claims_of_all_schemes_fall_in_the_year_and_follow_office_hours(sql):
    [(first, last)] = sql("""select min(made), max(made) from (select submitted_at made from cjrs union all
        select submitted_at from seiss union all select submitted_at from ssp union all select requested_at from uc)""")
    assert first.startswith("2020-04-20")
    assert last.startswith("2020-12-3")
    [(night, sunday)] = sql("""select avg((hour(submitted_at::timestamp) < 6)::int),
        avg((isodow(submitted_at::timestamp) = 7)::int) from cjrs""")
    assert night < 0.04
    assert sunday < 0.1


def test_most_claims_keep_the_rules_and_a_few_do_not(sql):
    """A rule nobody breaks cannot be tested, and one that everybody breaks is wrong."""
    broken = {
        "cjrs over 80 % or cap": """select avg((claim_amount::double > 0.01 + least(0.8 * reference_pay::double, 2500)
            * furloughed_hours::double / normal_hours::double)::int) from cjrs""",
        "cjrs hours": "select avg((worked_hours::double > normal_hours::double)::int) from cjrs",
        "seiss": """select avg((amount::double > 0.01 + least(case grant_number when '2' then 6570 else 7500 end,
            case grant_number when '2' then 0.7 else 0.8 end * three_month_profit::double))::int) from seiss""",
        "ssp days": "select avg((sick_days::int > 14)::int) from ssp",
        "ssp amount": "select avg((amount::double > 0.01 + sick_days::int * 95.85 / 7)::int) from ssp",
        "uc over award": "select avg((amount::double > estimated_award::double)::int) from uc",
        "uc deduction": """select avg((amount::double / repayment_months::int
            > 0.01 + 0.15 * standard_allowance::double)::int) from uc""",
    }
    shares = {name: sql(query)[0][0] for name, query in broken.items()}
    assert {name: share for name, share in shares.items() if not 0.001 < share < 0.07} == {}
    assert sql("""select count(*) from uc where repayment_months::int > case advance_type when 'change' then 6
        else 24 end""") == [(0,)]
    [(large,)] = sql("select avg((employer_size::int >= 250)::int) from ssp")
    assert 0 < large < 0.1


def test_jobs_are_claimed_for_once_a_month_and_again_in_later_months(sql):
    [(share, most)] = sql("""select avg((n > 1)::int), max(n) from
        (select count(distinct furlough_start[:7]) n from cjrs group by employer_paye_ref, payroll_ref)""")
    assert share > 0.5
    assert most == 9


def test_every_pattern_is_planted_in_about_six_per_cent_of_claims(sql):
    [(rate,)] = sql("select avg(fraud::int) from claims")
    assert 0.05 < rate < 0.07
    counts = dict(sql("select pattern, count(*) from claims where fraud = '1' group by pattern"))
    assert set(counts) == {
        "hijacked_identity", "mule_account", "synthetic_identity", "device_velocity", "ghost_employee",
        "collusive_ring", "inflated_amount", "duplicate_claim",
    }  # fmt: skip
    assert min(counts.values()) > 60
    assert sql("select count(*) from claims where (fraud = '1') <> (pattern is not null and pattern <> '')") == [(0,)]


def test_patterns_show_in_the_files_and_honest_claims_look_like_them(sql):
    """Synthetic people are unknown, mules share accounts, rings share devices - and some honest people do as well."""
    uc = f"""select c.pattern, k.nino is null as unknown, count(distinct {NINO8.format("u.customer_nino")})
            over (partition by sort_code, account_number) as claimants,
        count(*) over (partition by device_id, requested_at[:10]) as on_device
        from uc u join claims c on c.claim_id = u.advance_id
        left join (select distinct {NINO8.format("nino")} nino from tax union
            select {NINO8.format("national_insurance_number")} from benefit) k
        on k.nino = {NINO8.format("u.customer_nino")}"""
    rows = {
        pattern: shares
        for pattern, *shares in sql(f"""select coalesce(pattern, 'honest'), avg(unknown::int),
            avg((claimants > 3)::int), avg((on_device > 2)::int) from ({uc}) group by all""")
    }
    assert rows["synthetic_identity"][0] > 0.95
    assert 0.04 < rows["honest"][0] < 0.12
    assert rows["mule_account"][1] > 0.2
    assert 0.01 < rows["honest"][1] < 0.12
    assert rows["device_velocity"][2] > 0.3
    assert 0.001 < rows["honest"][2] < 0.1


def test_duplicates_claim_sick_pay_for_a_furloughed_month(sql):
    [(duplicate, honest)] = sql(f"""select avg(twice) filter (pattern = 'duplicate_claim'),
        avg(twice) filter (fraud = '0') from (select pattern, fraud, exists(select 1 from cjrs c where
            {NINO8.format("c.employee_nino")} = {NINO8.format("s.employee_nino")}
            and c.furlough_start <= s.period_end and c.furlough_end >= s.period_start)::int as twice
        from ssp s join claims t on t.claim_id = s.reference)""")
    assert duplicate > 0.5
    assert 0.005 < honest < 0.05


@pytest.fixture(scope="module")
def by_group(sql):
    """Rows of (fraud rate, risk selection among honest claims) for true and false, by protected trait."""

    def rates(condition: str) -> dict[bool, tuple[float, float]]:
        return {
            trait: (fraud, picked)
            for trait, fraud, picked in sql(f"""select {condition} as trait, avg(fraud::int),
                avg(coalesce(selected_by = 'risk', false)::int) filter (fraud = '0')
                from claims join (select person_id, min(record_id) as record_id from persons
                    where record_system = 'benefit_records' group by person_id) using (person_id)
                join benefit on customer_ref = record_id left join outcomes using (claim_id) group by trait""")
        }

    return rates


@pytest.mark.parametrize(
    ("condition", "least", "most"),
    [(f"nationality in {EU}", 1.6, 2.7), ("disability = 'Y'", 1.25, 1.7), ("gender = 'male'", 0.9, 1.1)],
)
def test_the_planted_disparity_is_in_review_and_not_in_fraud(by_group, condition, least, most):
    """Fairness reports are checked against this: the group is reviewed more often though it cheats no more."""
    rates = by_group(condition)
    assert abs(rates[True][0] - rates[False][0]) < 0.018
    assert least < rates[True][1] / rates[False][1] < most


def test_outcomes_are_partial_late_and_a_little_wrong(sql):
    assert 0.15 < sql("select count(*) / 40000 from outcomes where selected_by = 'risk'")[0][0] < 0.25
    assert 0.025 < sql("select count(*) / 40000 from outcomes where selected_by = 'random'")[0][0] < 0.036
    [(missed, accused, late)] = sql("""select avg((finding <> 'fraud')::int) filter (fraud = '1'),
        avg((finding = 'fraud')::int) filter (fraud = '0'), avg((decided_at >= '2021')::int)
        from outcomes join claims using (claim_id)""")
    assert 0.02 < missed < 0.06
    assert 0.008 < accused < 0.025
    assert late > 0.08
    [(soonest, latest)] = sql("""select min(d), max(d) from (select date_diff('second', made::timestamp,
        decided_at::timestamp) / 86400 d from outcomes join (select claim_ref claim_id, submitted_at made from cjrs
        union all select advance_id, requested_at from uc) using (claim_id))""")
    assert 5 <= soonest < 6
    assert 110 < latest <= 120
    assert sql("select count(*) from outcomes where decided_at <= selected_at") == [(0,)]


def test_journal_messages_hide_few_at_risk_among_alarming_and_misspelt_ones(sql):
    rows = sql("select body, risk_of_harm = '1' from messages join harm using (message_id)")
    assert 0.006 < sum(harm for _, harm in rows) / len(rows) < 0.015
    words = re.compile(r"kill|die|dead|suicid|harm|end|tablets", re.IGNORECASE)
    hits = [harm for body, harm in rows if words.search(body)]
    assert sum(hits) / len(hits) < 0.5
    assert sum(harm and not words.search(body) for body, harm in rows) > 0
    assert sum("recieved" in body or "definately" in body or "becuase" in body for body, _ in rows) > 20
    assert sum(bool(re.search(r"[A-Z]{2}\d{6}[A-D]", body)) for body, _ in rows) > 50
    assert sum(bool(re.search(r"07\d{9}", body)) for body, _ in rows) > 50
    assert [body for body, _ in rows if "{" in body] == []


def test_contacts_carry_a_device_or_a_phone_by_channel(sql):
    assert sql("""select channel, count(device_id) > 0, count(phone) > 0, bool_and(device_id is not null),
        bool_and(phone is not null) from contacts group by channel order by channel""") == [
        ("letter", False, False, False, False),
        ("office", False, False, False, False),
        ("phone", False, True, False, True),
        ("web", True, False, True, False),
    ]
    [(open_ended,)] = sql("select avg((result <> 'resolved')::int) from contacts")
    assert 0.15 < open_ended < 0.4
