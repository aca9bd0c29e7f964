from dagster_project.factory import domain_definitions

defs = domain_definitions("insight")
