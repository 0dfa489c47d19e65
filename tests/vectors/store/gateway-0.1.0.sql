-- The tables of a gateway's store as elsewhere 0.1.0 of 2026-11-22 makes them, dumped by Python's sqlite3.
BEGIN TRANSACTION;
CREATE TABLE catalogue_grant (
	custodian VARCHAR(32) NOT NULL, 
	collection VARCHAR(32) NOT NULL, 
	epoch BIGINT NOT NULL, 
	snapshot_version BIGINT NOT NULL, 
	searcher VARCHAR(32) NOT NULL, 
	sealed BLOB NOT NULL, 
	PRIMARY KEY (custodian, collection, epoch, snapshot_version, searcher)
);
CREATE TABLE piece (
	custodian VARCHAR(32) NOT NULL, 
	collection VARCHAR(32) NOT NULL, 
	epoch BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	snapshot_version BIGINT NOT NULL, 
	chunks INTEGER NOT NULL, 
	statement BLOB NOT NULL, 
	PRIMARY KEY (custodian, collection, epoch, version)
);
CREATE TABLE schema (
	version INTEGER NOT NULL
);
INSERT INTO "schema" VALUES(1);
CREATE TABLE seen (
	agency VARCHAR(32) NOT NULL, 
	last_ms BIGINT NOT NULL, 
	PRIMARY KEY (agency)
);
CREATE TABLE statement (
	agency VARCHAR(32) NOT NULL, 
	envelope BLOB NOT NULL, 
	PRIMARY KEY (agency)
);
COMMIT;
