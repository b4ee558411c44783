-- Only the last outputs of a project are kept, and a result without one need not look for them.
CREATE INDEX result_output ON result (project, id) WHERE output IS NOT NULL;
