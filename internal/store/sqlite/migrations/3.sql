-- What was known at the trip: by far the largest part of an incident, written once and read for its issue and its page
-- only. Each sweep reads the incident, and each step writes it.
CREATE TABLE evidence (
	incident TEXT PRIMARY KEY,
	doc      TEXT NOT NULL
);
INSERT INTO evidence SELECT id, json_extract(doc, '$.Evidence') FROM incident WHERE json_type(doc, '$.Evidence') = 'object';
UPDATE incident SET doc = json_remove(doc, '$.Evidence');
