-- What the queries call by name.
CREATE MACRO hours(a, b) AS (epoch_us(b) - epoch_us(a)) / 3.6e9;
CREATE MACRO possible(x, low, high) AS x >= coalesce(low, x) AND x <= coalesce(high, x);
-- A study's date YYYYMMDD and time HHMMSS.fff, both as numbers, to the minute.
CREATE MACRO chest_time(d, x) AS try(make_timestamp(
    d // 10000, (d // 100) % 100, d % 100,
    CAST(floor(x / 10000) AS BIGINT), CAST(floor(x / 100) AS BIGINT) % 100, 0));
CREATE MACRO image_path(subject, study, dicom) AS
    printf('p%s/p%d/s%d/%s.jpg', substr(CAST(subject AS VARCHAR), 1, 2), subject, study, dicom);
-- The one finding of eight that is positive; none if there are more, or none. Uncertain and unmentioned are not positive.
CREATE MACRO thoracic_class(a, b, c, d, e, f, g, h) AS
    CASE WHEN coalesce(a = 1, false)::INT + coalesce(b = 1, false)::INT + coalesce(c = 1, false)::INT
            + coalesce(d = 1, false)::INT + coalesce(e = 1, false)::INT + coalesce(f = 1, false)::INT
            + coalesce(g = 1, false)::INT + coalesce(h = 1, false)::INT = 1
         THEN CASE WHEN a = 1 THEN 'Atelectasis' WHEN b = 1 THEN 'Cardiomegaly' WHEN c = 1 THEN 'Consolidation'
                   WHEN d = 1 THEN 'Edema' WHEN e = 1 THEN 'Enlarged Cardiomediastinum' WHEN f = 1 THEN 'Lung Opacity'
                   WHEN g = 1 THEN 'Pneumonia' ELSE 'Pneumothorax' END END;
-- The eight groups of version 1.0, whatever the version; the first rule that fits.
CREATE MACRO race_group(race) AS
    CASE WHEN starts_with(upper(trim(race)), 'WHITE') OR upper(trim(race)) = 'PORTUGUESE' THEN 'WHITE'
         WHEN starts_with(upper(trim(race)), 'BLACK') THEN 'BLACK/AFRICAN AMERICAN'
         WHEN starts_with(upper(trim(race)), 'ASIAN') THEN 'ASIAN'
         WHEN starts_with(upper(trim(race)), 'HISPANIC') OR upper(trim(race)) = 'SOUTH AMERICAN' THEN 'HISPANIC/LATINO'
         WHEN starts_with(upper(trim(race)), 'AMERICAN INDIAN') THEN 'AMERICAN INDIAN/ALASKA NATIVE'
         WHEN upper(trim(race)) IN ('UNABLE TO OBTAIN', 'PATIENT DECLINED TO ANSWER') THEN 'UNABLE TO OBTAIN'
         WHEN coalesce(trim(race), '') = '' OR upper(trim(race)) = 'UNKNOWN' THEN 'UNKNOWN'
         ELSE 'OTHER' END;
CREATE MACRO race_code(race) AS list_position(
    ['AMERICAN INDIAN/ALASKA NATIVE', 'ASIAN', 'BLACK/AFRICAN AMERICAN', 'HISPANIC/LATINO', 'OTHER', 'UNABLE TO OBTAIN',
     'UNKNOWN', 'WHITE'], race_group(race)) - 1;
-- Whose a row without an admission is: the admission it was taken in.
CREATE VIEW whose_time AS
    SELECT subject_id, hadm_id, admittime,
           least(dischtime + INTERVAL 1 MICROSECOND,
                 coalesce(lead(admittime) OVER following, TIMESTAMP 'infinity')) AS until
    FROM admissions WHERE dischtime > admittime WINDOW following AS (PARTITION BY subject_id ORDER BY admittime, hadm_id);
-- The same for notes, from a day before the admission, but not of the stay before.
CREATE VIEW whose_notes AS
    SELECT subject_id, hadm_id,
           greatest(admittime - INTERVAL 24 HOUR,
                    coalesce(lag(dischtime) OVER following, TIMESTAMP '-infinity')) AS since,
           least(dischtime + INTERVAL 1 MICROSECOND,
                 coalesce(lead(admittime) OVER following, TIMESTAMP 'infinity')) AS until
    FROM admissions WHERE dischtime > admittime WINDOW following AS (PARTITION BY subject_id ORDER BY admittime, hadm_id);
