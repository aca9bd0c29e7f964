{# Seeds of a developer stand in the schema that the sources name. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{ custom_schema_name if node.resource_type == 'seed' else target.schema }}
{% endmacro %}
