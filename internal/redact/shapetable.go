package redact

// The alphabets of tokens, as pairs of the first and last byte of a range.
const (
	digits  = "09"
	hexes   = "09afAF"
	uppers  = "09AZ"
	alnums  = "09AZaz"
	alnumsU = alnums + "__"
	words   = alnums + "__--"
	wordsEq = words + "=="
	dotted  = words + ".."
	base64s = alnums + "++//=="
	anyURL  = words + "..++//==%%::"
)

// shapes are the tokens that are known by a distinctive text in them. Most facts are from the documentation of the
// services and the rules of secret scanners; lengths are generous, as services change them.
var shapes = []shape{
	// code hosting, packages, builds
	{prefix: "gh[pour]_", body: alnums, min: 16}, {prefix: "ghs_", body: dotted, min: 16}, {prefix: "github_pat_", body: alnumsU, min: 16},
	{prefix: "glpat-", body: dotted, min: 16}, {prefix: "gldt-", body: words, min: 16}, {prefix: "glrtr?-", body: dotted, min: 16}, {prefix: "glcbt-", body: words, min: 16},
	{prefix: "glptt-", body: words, min: 16}, {prefix: "glsoat-", body: words, min: 16}, {prefix: "glffct-", body: words, min: 16}, {prefix: "glft-", body: words, min: 16},
	{prefix: "glimt-", body: words, min: 16}, {prefix: "glagent-", body: words, min: 30}, {prefix: "gloas-", body: words, min: 30}, {prefix: "GR1348941", body: words, min: 16},
	{prefix: "_gitlab_session=", body: alnums, min: 16}, {prefix: "ATATT3", body: wordsEq, min: 50}, {prefix: "ATCTT3", body: wordsEq, min: 50},
	{prefix: "ATBB", body: alnums, min: 20, random: true}, {prefix: "BBDC-", body: base64s, min: 30}, {prefix: "npm_", body: alnums, min: 30}, {prefix: "pypi-", body: words, min: 16, random: true},
	{prefix: "rubygems_", body: hexes, min: 32}, {prefix: "cio", body: alnums, min: 32, max: 32, random: true}, {prefix: "oy2", body: alnums, min: 43, max: 43, random: true},
	{prefix: "CLOJARS_", body: alnums, min: 40}, {prefix: "AKCp", body: alnums, min: 60, random: true}, {prefix: "cmVmd", body: alnums, min: 50}, {prefix: "csa_", body: alnums, min: 30, random: true},
	{prefix: "dckr_[po]at_", body: words, min: 16}, {prefix: "SWMTKN-1-", body: words, min: 40}, {prefix: "SWMKEY-1-", body: base64s, min: 30}, {prefix: "bkua_", body: alnums, min: 30},
	{prefix: "bk[acp][ajrts]_", body: words, min: 40}, {prefix: "bkpat_", body: words, min: 40}, {prefix: "CCIPAT_", body: alnumsU, min: 40}, {prefix: "sq[uap]_", body: alnums, min: 40},
	{prefix: "sgp_", body: alnumsU, min: 40}, {prefix: "AIK_[CS][ILE]", body: alnumsU, min: 20}, {prefix: "mergify_application_key_", body: words, min: 20},
	{prefix: "tk-us-", body: words, min: 40}, {prefix: "rdme_", body: alnums, min: 40}, {prefix: "waka_", body: words, min: 30}, {prefix: "pnu_", body: alnums, min: 30},
	{prefix: "rootly_", body: hexes, min: 32}, {prefix: "HRKU-", body: words, min: 36}, {prefix: "ion_", body: alnums, min: 40, random: true}, {prefix: "tss_", body: words, min: 20, random: true},
	// clouds and infrastructure
	{prefix: "AKIA", body: uppers, min: 16, max: 16}, {prefix: "A[SB]IA", body: uppers, min: 16, max: 16}, {prefix: "ACCA", body: uppers, min: 16, max: 16},
	{prefix: "A3T", body: uppers, min: 17, max: 17, random: true}, {prefix: "ABSK", body: base64s, min: 60, random: true}, {prefix: "bedrock-api-key-", body: base64s, min: 16},
	{prefix: "[0-9]Q~", body: dotted + "~~", min: 31, max: 34, before: dotted + "~~", least: 3}, {prefix: "AZDO", body: alnums, min: 4, before: alnums, least: 76},
	{prefix: "AIza", body: words, min: 35, random: true}, {prefix: "ya29.", body: dotted, min: 16, random: true}, {prefix: "GOCSPX-", body: words, min: 16}, {prefix: "1//0", body: words, min: 40},
	{prefix: ":APA91b", body: words, min: 100, before: words, least: 10}, {prefix: "LTAI", body: alnums, min: 12, max: 24, random: true}, {prefix: "STS.", body: alnums, min: 16, random: true},
	{prefix: "do[opr]_v1_", body: hexes, min: 32}, {prefix: "cf[au]t_", body: words, min: 30}, {prefix: "cfk_", body: words, min: 30}, {prefix: "v1.0-", body: words, min: 100, random: true}, {prefix: "fo1_", body: words, min: 40},
	{prefix: "fm1[ar]_", body: base64s, min: 60}, {prefix: "fm2_", body: base64s, min: 60}, {prefix: "FlyV1 ", body: words + "//++==,,", min: 60}, {prefix: "vc[kpiar]_", body: words, min: 30},
	{prefix: "sbp_", body: words, min: 40, random: true}, {prefix: "sb_secret_", body: words, min: 20}, {prefix: "napi_", body: alnums, min: 40}, {prefix: "pscale_tkn_", body: dotted + "==", min: 32},
	{prefix: "pscale_oauth_", body: dotted + "==", min: 32}, {prefix: "pscale_pw_", body: dotted + "==", min: 32}, {prefix: "dapi", body: hexes, min: 32, max: 32}, {prefix: "pul-", body: hexes, min: 40, max: 40},
	{prefix: ".atlasv1.", body: wordsEq, min: 40, before: alnums, least: 14}, {prefix: "hv[sbr].", body: words, min: 20, random: true}, {prefix: "tskey-", body: words, min: 20},
	{prefix: "dp.[cps][at].", body: dotted, min: 40}, {prefix: "dp.scim.", body: dotted, min: 40}, {prefix: "dp.audit.", body: dotted, min: 40}, {prefix: "ops_eyJ", body: base64s, min: 60},
	{prefix: "A3-", body: uppers + "--", min: 28, max: 40, random: true}, {prefix: "AGE-SECRET-KEY-1", body: uppers, min: 20}, {prefix: "sha256~", body: words, min: 40}, {prefix: "API-", body: uppers, min: 26, max: 26, random: true},
	{prefix: "rnd_", body: alnums, min: 28, random: true}, {prefix: "rpa_", body: alnums, min: 28, random: true}, {prefix: "ucat_", body: alnums, min: 24}, {prefix: "EXO", body: alnums, min: 24, max: 30, random: true},
	{prefix: "ddp_", body: alnums, min: 30}, {prefix: "4b1d", body: alnums, min: 38, max: 38, random: true}, {prefix: "CCDB1_", body: alnumsU, min: 40}, {prefix: "AstraCS:", body: alnums + "::", min: 20},
	{prefix: "mdb_sa_[is][dk]_", body: words, min: 20}, {prefix: "essu_", body: wordsEq, min: 40}, {prefix: "pat", body: alnums + "..", min: 70, max: 90, dots: 1}, {prefix: "[ps]at.", body: dotted, min: 60, dots: 2},
	{prefix: "ico-", body: alnums, min: 32, random: true}, {prefix: "dnkey-", body: wordsEq, min: 60}, {prefix: "sc_", body: dotted + "++//==", min: 60, dots: 3}, {prefix: "ext_", body: dotted + "++//==", min: 60, dots: 3},
	{prefix: "scauth_", body: dotted + "++//==", min: 60, dots: 3}, {prefix: "authress_", body: dotted + "++//==", min: 60, dots: 3}, {prefix: "unkey_", body: alnums, min: 16, random: true}, {prefix: "zpka_", body: words, min: 30},
	{prefix: "t1.", body: dotted + "==", min: 86, dots: 1, random: true}, {prefix: "AQVN", body: words, min: 35, max: 38, random: true},
	// monitoring
	{prefix: "sntrys_", body: base64s + "__", min: 40}, {prefix: "sntryu_", body: hexes, min: 40}, {prefix: "glsa_", body: alnumsU, min: 32}, {prefix: "glc_", body: base64s, min: 32}, {prefix: "eyJrIjoi", body: base64s, min: 40},
	{prefix: "dt0[cs][0-9][0-9].", body: dotted, min: 60}, {prefix: "NR[AIJ][IJKS]-", body: words, min: 19}, {prefix: "ph[cx]_", body: words, min: 40}, {prefix: "lsv2_[ps][tk]_", body: alnumsU, min: 32},
	// models
	{prefix: "sk-", body: words, min: 20, random: true}, {prefix: "gsk_", body: alnums, min: 40}, {prefix: "AQ.", body: words, min: 40, random: true}, {prefix: "pplx-", body: alnums, min: 40}, {prefix: "r8_", body: alnums, min: 30, random: true},
	{prefix: "xai-", body: words, min: 50}, {prefix: "nvapi-", body: words, min: 50}, {prefix: "tgp_v1_", body: words, min: 30}, {prefix: "wandb_v1_", body: alnumsU, min: 40}, {prefix: "hf_", body: alnums, min: 30},
	{prefix: "api_org_", body: alnums, min: 30}, {prefix: "csk-", body: alnums, min: 40}, {prefix: "apk_", body: base64s + "__", min: 60, random: true}, {prefix: "cog_", body: alnums, min: 50, random: true}, {prefix: "pcsk_", body: alnumsU, min: 40},
	{prefix: "BSA", body: words, min: 24, max: 40, random: true}, {prefix: "tvly-", body: words, min: 20, random: true}, {prefix: "apify_api_", body: alnums, min: 30}, {prefix: "key_", body: hexes, min: 64, random: true}, {prefix: "apikey_", body: hexes, min: 32},
	// chat, mail, documents
	{prefix: "xox[a-eoprs]-", body: anyURL, min: 8}, {prefix: "xoxe.xox", body: words, min: 10}, {prefix: "xapp-", body: words, min: 16}, {prefix: "hooks.slack.com/services/", body: anyURL, min: 8},
	{prefix: "hooks.slack.com/workflows/", body: anyURL, min: 8}, {prefix: "hooks.slack.com/triggers/", body: anyURL, min: 8}, {prefix: "discord.com/api/webhooks/", body: anyURL, min: 8},
	{prefix: "discordapp.com/api/webhooks/", body: anyURL, min: 8}, {prefix: ".webhook.office.com/", body: anyURL + "@@", min: 40}, {prefix: "[MNO][DTjz][AEIMQUYcgk]", body: dotted, min: 50, max: 80, dots: 2},
	{prefix: "api.telegram.org/bot", body: words + "::", min: 8}, {prefix: ":AA", body: words, min: 33, before: digits, least: 5}, {prefix: "SG.", body: dotted + "==", min: 30, random: true},
	{prefix: "xkeysib-", body: words, min: 40}, {prefix: "xsmtpsib-", body: words, min: 40}, {prefix: "mlsn.", body: alnums, min: 30}, {prefix: "key-", body: hexes, min: 32, max: 32}, {prefix: "-us[0-9]", body: digits, min: 0, before: hexes, least: 32},
	{prefix: "lin_api_", body: alnums, min: 30}, {prefix: "lin_oauth_", body: alnums, min: 30}, {prefix: "ntn_", body: alnums, min: 40}, {prefix: "secret_", body: alnums, min: 43, max: 43, random: true}, {prefix: "fig[doru]_", body: words, min: 30},
	{prefix: "PMAK-", body: words, min: 40}, {prefix: "CFPAT-", body: words, min: 40}, {prefix: "tfp_", body: dotted + "==", min: 40}, {prefix: "sl.", body: wordsEq, min: 100, random: true}, {prefix: "cnvca", body: words, min: 40, random: true},
	{prefix: "gcntfy-", body: words, min: 60}, {prefix: "fio-u-", body: wordsEq, min: 40}, {prefix: "lip_", body: alnumsU, min: 16, random: true}, {prefix: "cli_", body: alnums, min: 16, max: 16, random: true},
	// shops, payments, identity
	{prefix: "[sr]k_live_", body: alnums, min: 10}, {prefix: "[sr]k_test_", body: alnums, min: 10}, {prefix: "[sr]k_prod_", body: alnums, min: 10}, {prefix: "sk_", body: alnumsU, min: 29, random: true}, {prefix: "whsec_", body: base64s, min: 16},
	{prefix: "shp[acps][ats]_", body: alnums, min: 30}, {prefix: "sq0[aci][dst][bp]-", body: words, min: 22}, {prefix: "EAAA", body: words, min: 22, random: true}, {prefix: "EAA[MC]", body: alnums, min: 80},
	{prefix: "shippo_live_", body: hexes, min: 32}, {prefix: "shippo_test_", body: hexes, min: 32}, {prefix: "duffel_live_", body: wordsEq, min: 40}, {prefix: "duffel_test_", body: wordsEq, min: 40}, {prefix: "FLWSECK_TEST-", body: words, min: 12},
	{prefix: "FLWSECK-", body: words, min: 12}, {prefix: "FLWPUBK_TEST-", body: words, min: 30}, {prefix: "EZ[AT]K", body: alnums, min: 50}, {prefix: "p8e-", body: alnums, min: 32, random: true}, {prefix: "s-s4t2[au][df]-", body: hexes, min: 60},
	{prefix: "aact_[hp][mr]", body: words, min: 20}, {prefix: "mercury_production_", body: alnumsU, min: 40}, {prefix: "pdl_live_apikey_", body: alnumsU, min: 40}, {prefix: "persona_production_", body: words, min: 20, random: true},
	{prefix: "polar_o?at_", body: words, min: 20, random: true}, {prefix: "polar_pat_", body: words, min: 20, random: true}, {prefix: "ramp_id_", body: alnums, min: 30}, {prefix: "ramp_sec_", body: alnums, min: 30}, {prefix: "prf_", body: words, min: 20, random: true},
	{prefix: "pina_", body: words, min: 20, random: true}, {prefix: "samsara_api_", body: alnums, min: 20}, {prefix: "os_v2_[ao][pr][pg]_", body: alnums, min: 60}, {prefix: "api_live.", body: words, min: 20}, {prefix: "api_live_[ceu][aus].", body: words, min: 20},
	{prefix: "sm_[aps]at_", body: alnums, min: 16}, {prefix: "dvc_client_", body: words, min: 8}, {prefix: "dvc_mobile_", body: words, min: 8}, {prefix: "dvc_server_", body: words, min: 8}, {prefix: "vtwn_", body: words, min: 20, random: true},
	{prefix: "access-[dps][era]", body: words, min: 40, random: true}, {prefix: "configcat-sdk-1/", body: words + "//", min: 40}, {prefix: "_mmk", body: "", before: alnumsU, least: 36}, {prefix: "==:", body: alnums, min: 32, max: 32, before: base64s, least: 22, random: true},
	{prefix: "endr+", body: words, min: 16, random: true}, {prefix: "SK[0-9a-f]", body: hexes, min: 31, max: 31}, {prefix: "-PRD-", body: hexes + "--", min: 17, before: words, least: 3},
	{prefix: "AAAAAAAAAAAAAAAAAAAAAA", body: alnums + "%%", min: 60, random: true},
	// tokens of many services
	{prefix: "eyJ", body: dotted + "==", min: 20, dots: 1}, {prefix: "ZXlK", body: words + "++//==", min: 40, random: true},
}
