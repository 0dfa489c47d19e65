-- The tables of a node's store as elsewhere 0.1.0 of 2026-11-22 makes them, dumped by Python's sqlite3.
BEGIN TRANSACTION;
CREATE TABLE asked (
	id INTEGER NOT NULL, 
	lookup_id VARCHAR(32) NOT NULL, 
	time_ms BIGINT NOT NULL, 
	custodian VARCHAR(32) NOT NULL, 
	call_reference VARCHAR(8), 
	answer BLOB NOT NULL, 
	CONSTRAINT pk_asked PRIMARY KEY (id)
);
CREATE TABLE carried_shield (
	source VARCHAR(64) NOT NULL, 
	person_ref VARCHAR(200) NOT NULL, 
	from_source VARCHAR(64) NOT NULL, 
	from_ref VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_carried_shield PRIMARY KEY (source, person_ref, from_source, from_ref)
)
 WITHOUT ROWID

;
CREATE TABLE entry (
	set_id SMALLINT NOT NULL, 
	short BLOB NOT NULL, 
	load_id INTEGER NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (set_id, short)
)
 WITHOUT ROWID

;
CREATE TABLE load (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	source VARCHAR(64), 
	state VARCHAR(16) NOT NULL, 
	started_utc BIGINT NOT NULL, 
	finished_utc BIGINT, 
	rules VARCHAR(64)
);
CREATE TABLE load_set (
	load_id INTEGER NOT NULL, 
	set_id INTEGER NOT NULL, 
	CONSTRAINT pk_load_set PRIMARY KEY (load_id, set_id), 
	CONSTRAINT fk_load_set_load_id FOREIGN KEY(load_id) REFERENCES load (id), 
	CONSTRAINT fk_load_set_set_id FOREIGN KEY(set_id) REFERENCES tag_set (id)
)
 WITHOUT ROWID

;
CREATE TABLE log (
	seq INTEGER NOT NULL, 
	time_ms BIGINT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	call_reference VARCHAR(8), 
	digest BLOB NOT NULL, 
	body BLOB NOT NULL, 
	CONSTRAINT pk_log PRIMARY KEY (seq)
);
CREATE TABLE member (
	load_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	group_id INTEGER NOT NULL, 
	shield VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_member PRIMARY KEY (load_id, record_id), 
	CONSTRAINT fk_member_load_id FOREIGN KEY(load_id) REFERENCES load (id)
)
 WITHOUT ROWID

;
CREATE TABLE meta (
	name VARCHAR(64) NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema_version','1');
CREATE TABLE opening (
	lookup_id VARCHAR(32) NOT NULL, 
	time_ms BIGINT NOT NULL, 
	sealed BLOB NOT NULL, 
	CONSTRAINT pk_opening PRIMARY KEY (lookup_id)
);
CREATE TABLE published (
	collection VARCHAR(32) NOT NULL, 
	epoch INTEGER NOT NULL, 
	version BIGINT NOT NULL, 
	snapshot_version BIGINT NOT NULL, 
	root BLOB NOT NULL, 
	seed BLOB NOT NULL, 
	snapshot_key BLOB NOT NULL, 
	statement BLOB NOT NULL, 
	granted TEXT NOT NULL, 
	CONSTRAINT pk_published PRIMARY KEY (collection, epoch)
);
CREATE TABLE published_piece (
	collection VARCHAR(32) NOT NULL, 
	epoch INTEGER NOT NULL, 
	version BIGINT NOT NULL, 
	statement BLOB NOT NULL, 
	ciphertext BLOB NOT NULL, 
	CONSTRAINT pk_published_piece PRIMARY KEY (collection, epoch, version)
);
CREATE TABLE question (
	digest BLOB NOT NULL, 
	searcher VARCHAR(32) NOT NULL, 
	lookup_id BLOB NOT NULL, 
	nonce BLOB NOT NULL, 
	core BLOB NOT NULL, 
	pseudonym BLOB NOT NULL, 
	received_ms BIGINT NOT NULL, 
	counted BOOLEAN NOT NULL, 
	ruling TEXT NOT NULL, 
	request BLOB, 
	reply BLOB, 
	redeem_digest BLOB, 
	redeem_reply BLOB, 
	CONSTRAINT pk_question PRIMARY KEY (digest), 
	CONSTRAINT uq_question_searcher_nonce UNIQUE (searcher, nonce)
);
CREATE TABLE record (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	load_id INTEGER NOT NULL, 
	source VARCHAR(64) NOT NULL, 
	person_ref VARCHAR(200) NOT NULL, 
	digest BLOB NOT NULL, 
	person BLOB NOT NULL, 
	service VARCHAR(200) NOT NULL, 
	status VARCHAR(8) NOT NULL, 
	last_contact DATE, 
	flags TEXT NOT NULL, 
	in_hours VARCHAR(200) NOT NULL, 
	out_of_hours VARCHAR(200) NOT NULL, 
	CONSTRAINT fk_record_load_id FOREIGN KEY(load_id) REFERENCES load (id)
);
CREATE TABLE source (
	name VARCHAR(64) NOT NULL, 
	load_id INTEGER NOT NULL, 
	format VARCHAR(16) NOT NULL, 
	digest BLOB NOT NULL, 
	read_utc BIGINT NOT NULL, 
	loaded_utc BIGINT NOT NULL, 
	max_age_days INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	CONSTRAINT pk_source PRIMARY KEY (name), 
	CONSTRAINT fk_source_load_id FOREIGN KEY(load_id) REFERENCES load (id)
);
CREATE TABLE standing_shield (
	source VARCHAR(64) NOT NULL, 
	person_ref VARCHAR(200) NOT NULL, 
	shield VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_standing_shield PRIMARY KEY (source, person_ref)
)
 WITHOUT ROWID

;
CREATE TABLE subject (
	digest BLOB NOT NULL, 
	salt BLOB NOT NULL, 
	records TEXT NOT NULL, 
	CONSTRAINT pk_subject PRIMARY KEY (digest)
);
CREATE TABLE tag (
	set_id SMALLINT NOT NULL, 
	tag BLOB NOT NULL, 
	record_id INTEGER NOT NULL, 
	ordinal SMALLINT NOT NULL, 
	CONSTRAINT pk_tag PRIMARY KEY (set_id, tag, record_id)
)
 WITHOUT ROWID

;
CREATE TABLE tag_set (
	id INTEGER NOT NULL, 
	collection VARCHAR(32) NOT NULL, 
	epoch BIGINT NOT NULL, 
	CONSTRAINT pk_tag_set PRIMARY KEY (id), 
	CONSTRAINT uq_tag_set_collection_epoch UNIQUE (collection, epoch)
);
CREATE TABLE waiting (
	lookup_id VARCHAR(32) NOT NULL, 
	custodian VARCHAR(32) NOT NULL, 
	custodian_lookup_id BLOB NOT NULL, 
	next_ms BIGINT NOT NULL, 
	until_ms BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	CONSTRAINT pk_waiting PRIMARY KEY (lookup_id, custodian)
);
CREATE INDEX question_received ON question (received_ms);
CREATE INDEX question_lookup ON question (searcher, lookup_id, core);
CREATE INDEX question_agency_rate ON question (searcher, received_ms) WHERE counted IS 1;
CREATE INDEX question_kept ON question (received_ms) WHERE request IS NOT NULL;
CREATE INDEX question_person_rate ON question (searcher, pseudonym, received_ms) WHERE counted IS 1;
CREATE INDEX ix_log_call_reference ON log (call_reference);
CREATE INDEX ix_asked_lookup_id ON asked (lookup_id);
CREATE INDEX ix_asked_call_reference ON asked (call_reference);
CREATE INDEX record_digest ON record (source, digest);
CREATE INDEX member_group ON member (load_id, group_id);
DELETE FROM "sqlite_sequence";
COMMIT;
