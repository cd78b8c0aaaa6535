package parser

import "strings"

// builtinFuncs are the functions of MySQL 9 and MariaDB 11 that are called by
// name, in lower case; from the function indexes of both manuals. A function
// that is missing here is taken for a stored one, which is safe: it goes to
// one server or is refused.
var builtinFuncs = wordSet(`
abs acos add_months adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg
benchmark bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor
can_access_column can_access_database can_access_table can_access_user can_access_view
cast ceil ceiling char char_length character_length charset chr coalesce coercibility column_add column_check
column_create column_delete column_exists column_get column_json column_list compress concat concat_ws
connection_id conv convert convert_tz cos cot count crc32 crc32c cume_dist curdate current_date current_role
current_time current_timestamp current_user curtime
database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear decode
decode_histogram decode_oracle default degrees dense_rank des_decrypt des_encrypt
elt encode encrypt exp export_set extract extractvalue
field find_in_set first_value floor format format_bytes format_pico_time found_rows from_base64 from_days
from_unixtime
geomcollection geometrycollection get_format get_lock greatest group_concat grouping gtid_subset gtid_subtract
hex hour
icu_version if ifnull in inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval is_free_lock is_ipv4
is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull
json_array json_array_append json_array_insert json_array_intersect json_arrayagg json_compact json_contains
json_contains_path json_depth json_detailed json_equals json_exists json_extract json_insert json_key_value
json_keys json_length json_loose json_memberof json_merge json_merge_patch json_merge_preserve json_normalize
json_object json_object_filter_keys json_object_to_array json_objectagg json_overlaps json_pretty json_query
json_quote json_remove json_replace json_schema_valid json_schema_validation_report json_search json_set
json_storage_free json_storage_size json_table json_type json_unquote json_valid json_value
kdf lag last_day last_insert_id last_value lastval lcase lead least left length lengthb like_range linestring ln
load_file localtime localtimestamp locate log log10 log2 lower lpad ltrim
make_set makedate maketime master_gtid_wait master_pos_wait max mbrcontains mbrcoveredby mbrcovers mbrdisjoint
mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin md5 microsecond mid min minute mod month
monthname months_between multilinestring multipoint multipolygon
name_const natural_sort_key nextval now nth_value ntile nullif nvl nvl2 oct octet_length old_password ord
password percent_rank period_add period_diff pi point polygon position pow power
ps_current_thread_id ps_thread_id quarter quote radians rand random_bytes rank regexp_instr regexp_like
regexp_replace regexp_substr release_all_locks release_lock repeat replace reverse right round
row_count row_number rownum rpad rtrim
schema sec_to_time second session_user setval sformat sha sha1 sha2 sign sin sleep soundex source_pos_wait space
sqrt st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_buffer st_buffer_strategy st_centroid
st_collect st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint st_distance
st_distance_sphere st_endpoint st_envelope st_equals st_exteriorring st_frechetdistance st_geohash
st_geomcollfromtext st_geometryn st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb
st_hausdorffdistance st_interiorringn st_intersection st_intersects st_isclosed st_isempty st_issimple
st_isvalid st_latfromgeohash st_latitude st_length st_linefromtext st_lineinterpolatepoint st_longfromgeohash
st_longitude st_makeenvelope st_mpointfromtext st_numgeometries st_numinteriorrings st_numpoints st_overlaps
st_pointatdistance st_pointfromgeohash st_pointfromtext st_pointn st_polyfromtext st_simplify st_srid
st_startpoint st_swapxy st_symdifference st_touches st_transform st_union st_validate st_within st_x st_y
statement_digest statement_digest_text std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr
substring substring_index substrb subtime sum sys_guid sysdate system_user
tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char to_date to_days
to_number to_seconds trim trim_oracle trunc truncate
ucase uncompress uncompressed_length unhex unix_timestamp updatexml upper user utc_date utc_time utc_timestamp
uuid uuid_short uuid_to_bin uuid_v4 uuid_v7 validate_password_strength values var_pop var_samp variance version
distance from_vector string_to_vector to_vector vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext
vec_totext vector_dim vector_distance vector_to_string
wait_for_executed_gtid_set wait_until_sql_thread_after_gtids week weekday weekofyear weight_string
wsrep_last_seen_gtid wsrep_last_written_gtid wsrep_sync_wait_upto_gtid xor char_func collation insert_func year yearweek
`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
