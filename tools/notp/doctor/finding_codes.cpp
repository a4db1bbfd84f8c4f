#include "tools/notp/doctor/finding_codes.hpp"

#include <algorithm>

namespace notp::cli::doctor {
namespace {

constexpr std::string_view kCheck = "{program} --check --config {config}";
constexpr std::string_view kDates = "openssl x509 -noout -subject -dates -in {subject}";
constexpr std::string_view kIssuer = "openssl x509 -noout -subject -issuer -in {subject}";
constexpr std::string_view kIdentity = "openssl x509 -noout -ext subjectAltName -in {subject}";
constexpr std::string_view kLook = "ls -ld {subject}";
constexpr std::string_view kConfig = "notp config";
constexpr std::string_view kJournal = "journalctl -u {program} -n 50";
constexpr std::string_view kServed =
    "openssl s_client -connect {subject} -showcerts </dev/null | openssl x509 -noout -text";

constexpr FindingCode kCodes[] = {
    // --- configuration and files, as a start sees them
    {"configuration", true, "a start refuses it, or a part of it has no effect", kCheck},
    {"configuration_invalid", true, "the program does not start",
     "{program} --check-config --config {config}"},
    {"file_unreadable", true, "without the file the program does not start", kCheck},
    {"data_folder", true, "nothing can be stored, so that the program does not start", kLook},
    {"disk_read_only", false, "nothing new is stored: releases and decisions are lost at a restart",
     "findmnt --target {subject}"},
    {"listen_address", false, "the program cannot listen there", "ip -brief address"},
    {"registry_address", true, "no peer can connect to such an address", kCheck},
    {"worker_missing", true, "without its worker no release is checked or activated",
     "command -v notp-pdp"},
    // --- certificates
    {"certificate_ended", true, "every peer refuses it: no session opens", kDates},
    {"certificate_not_begun", true, "every peer refuses it until then: no session opens", kDates},
    {"certificate_ends_soon", false, "after its end no session opens", kDates},
    {"certificate_unusable", true, "no session opens without it", kDates},
    {"certificate_untrusted", true, "a peer with the same authorities refuses it", kIssuer},
    {"certificate_identity", true, "a peer cannot tell whom it names, or gives it no role here",
     kIdentity},
    {"authorities_unusable", true, "no peer can be verified", kIssuer},
    {"key_mismatch", true, "no TLS handshake succeeds with this pair",
     "openssl pkey -pubout -in {subject}"},
    {"key_mode", true, "others on this machine can take the key, and act as this program",
     "chmod 600 {subject}"},
    // --- roots and freshness
    {"root_invalid", true, "without a valid root no release can be verified", kLook},
    {"root_expired", true, "no node accepts a release under it", "notp root show {subject}"},
    {"root_ends_soon", false,
     "the next root needs people with offline keys; after the end no node "
     "accepts a release",
     "notp root show {subject}"},
    {"root_differs", true,
     "releases of this registry do not verify here, or those verified here "
     "come from somewhere else",
     "notp root show {subject}"},
    {"root_behind", true, "the registry has lost roots that were in force: nodes refuse it",
     kConfig},
    {"root_untrusted", true,
     "the chain of roots does not lead from the pinned one to the "
     "registry's",
     kConfig},
    {"releases_lost", true,
     "nothing can be published, and releases age: nodes have what the registry lacks, or may have "
     "it",
     "notp registry recover --plan"},
    {"freshness_key_missing", true, "nodes cannot tell an old release from the newest, and age",
     kCheck},
    {"freshness_key_wrong", true, "nodes refuse the statements, and age", kCheck},
    {"freshness_off", false, "nodes cannot tell whether a release that they have is the newest",
     kConfig},
    // --- the deny list
    {"deny_list_undelegated", true, "a stolen identity cannot be shut out", kCheck},
    {"deny_list_missing", false, "a stolen identity cannot be shut out before its certificate ends",
     kCheck},
    {"revoked", true, "the registry lets this identity in no more", "notp node readmit --help"},
    // --- token lanes
    {"lane_key_wrong", true,
     "nodes take nothing of this registry's token lanes: with on_hard deny no token is alive there",
     kCheck},
    // --- key sources
    {"source_key_undelegated", true,
     "keys of providers are fetched and never published: tokens of new keys are denied", kCheck},
    {"source_key_unrestricted", false,
     "who steals the registry's source key can author policies, not keys alone", kCheck},
    {"source_auth_unreadable", true,
     "the registry cannot authenticate to the provider, so its keys are not fetched", kCheck},
    // --- the machine
    {"disk_space", true, "a full disk refuses publishes, and drops recorded decisions",
     "df -h {subject}"},
    {"disk_inodes", true, "without inodes no file can be made, however much room is left",
     "df -i {subject}"},
    {"file_system", false, "what was acknowledged can be lost when the machine stops",
     "findmnt --target {subject}"},
    {"descriptors", false, "fewer sessions are accepted than limits.sessions says",
     "systemctl edit {program}"},
    {"not_listening", true, "no peer can connect", "systemctl status {program}"},
    {"unhealthy", true, "the program itself says that it cannot serve", kJournal},
    // --- the way to the registry
    {"name_unresolved", true, "no connection is made: every cached release ages",
     "getent hosts {subject}"},
    {"port_closed", true, "no connection is made: every cached release ages",
     "curl --verbose telnet://{subject}"},
    {"registry_unreachable", true, "no connection is made: every cached release ages",
     "curl --verbose telnet://{subject}"},
    {"registry_error", true, "the registry is there, and refuses or breaks what was asked", kCheck},
    {"tls_certificate_ended", true, "no session opens until the certificate is renewed", kServed},
    {"tls_untrusted", true,
     "the configured authorities do not attest the certificate of the other side", kServed},
    {"tls_failed", true, "no session opens", kServed},
    {"registry_identity", true, "what answers there is not the configured registry", kServed},
    {"ledger_denied", true, "releases of the ledger can neither be read nor published from here",
     "notp ledgers"},
    {"clock_differs", true, "certificates, roots and freshness are judged by this clock",
     "timedatectl status"},
    {"clock_jumped", true,
     "freshness counts from the latest time that this node has seen, so that "
     "releases age too early",
     "notp-client --reset-clock --config {config}"},
    // --- a running agent
    {"agent_not_running", true, "no caller gets a decision from it", "systemctl status {program}"},
    {"agent_disconnected", true, "new releases do not arrive, and what is stored ages", kJournal},
    {"roots_overlap", true, "the release of one of the ledgers is not activated on this node",
     "notp show {subject}"},
    {"ledger_rejected", true, "the node goes on with an older release, or with none",
     "notp show {subject}"},
    {"ledger_aged", true, "decisions rest on a release that may no longer be the newest", kJournal},
    {"decisions_refused", true, "the agent answers no question, because it cannot record",
     kJournal},
    {"log_refused", true, "recorded decisions do not reach the registry", kJournal},
    {"alarm", true, "the node saw what must not happen; a person has to look", kJournal},
    // --- an OPA beside the agent
    {"opa_unreachable", true, "no decision is made", "curl --verbose {subject}/health"},
    {"opa_version", false, "models are checked with OPA 1.x and may not load in an older one",
     "opa version"},
    {"opa_feed", true, "OPA does not get the releases of this agent",
     "notp-client opa-config --config {config}"},
};

}  // namespace

const FindingCode* find_code(std::string_view code) {
  const auto found = std::ranges::find(kCodes, code, &FindingCode::code);
  return found == std::end(kCodes) ? nullptr : &*found;
}

}  // namespace notp::cli::doctor
