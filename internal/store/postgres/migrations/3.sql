-- The class of a failure; '' for other results, and for those that an earlier version recorded. Results with a class whose outcome is
-- ignored were failures, which their class ignores.
ALTER TABLE adfbot.result ADD COLUMN class TEXT COLLATE "C" NOT NULL DEFAULT '';
