update %jobs% set scheduled = false where id >= 1000 and scheduled
returning id::int4, application_name::text, proc_schema || '.' || proc_name, proc_name = 'policy_retention'
