#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/transport/tls_check.hpp"
#include "protocol/trust/envelope.hpp"
#include "protocol/trust/root_expiry.hpp"
#include "tools/notp/doctor/examinations.hpp"
#include "tools/notp/doctor/machine.hpp"
#include "tools/notp/doctor/reach.hpp"
#include "tools/notp/query/query_session.hpp"

namespace notp::cli::doctor {
namespace {

// Statements of freshness and certificates have margins of minutes; this is far from them.
constexpr TimeMs kClockMs = 5'000;
// Ledgers that are named; the others are counted.
constexpr size_t kLostShown = 20;

void check_files(const Settings& settings, Now now, Diagnosis& diagnosis) {
  SetupReport report;
  if (!settings.certificate.empty() && !settings.key.empty())
    transport::check_key_pair(settings.certificate, settings.key, now.wall_ms, report);
  if (!settings.ca.empty()) transport::check_authorities(settings.ca, report);
  if (!settings.ca.empty() && !settings.certificate.empty())
    transport::check_leads_to(settings.certificate, settings.ca,
                              "a registry with the same authorities would refuse it", report);
  diagnosis.add_setup(report.document());
  check_key_mode(settings.key, diagnosis);
  for (const auto& key : settings.signing_keys) check_key_mode(key, diagnosis);
}

void check_root_expiry(const Settings& settings, const trust::Root& root, Now now,
                       Diagnosis& diagnosis) {
  const std::string text = trust::root_expiry_text(root, now.wall_ms);
  if (text.empty()) return;
  const bool is_over =
      trust::root_expiry(root.expires_ms, now.wall_ms) == trust::RootExpiry::kExpired;
  diagnosis.add(is_over ? "root_expired" : "root_ends_soon", settings.root.string(), text);
}

// The registry's root of the pinned version has the pinned content.
Result<void> check_root_served(const Settings& settings, QuerySession& session,
                               Diagnosis& diagnosis) {
  const RootPtr& pinned = session.chain->all().front();
  NOTP_ASSIGN(const wire::RootsPage page,
              session.client->ask(wire::RootsRequest{.after_version = pinned->version - 1}));
  NOTP_ASSIGN(const Bytes file, read_file(settings.root, limits::kEnvelopeBytesMax));
  NOTP_ASSIGN(const trust::Envelope own, trust::Envelope::decode(file));
  if (page.root_chain.empty()) {
    diagnosis.add(
        "root_behind", settings.root.string(),
        fmt::format("the registry does not have root v{}, which is pinned here", pinned->version));
    return {};
  }
  NOTP_ASSIGN(const trust::Envelope served, trust::Envelope::decode(page.root_chain.front()));
  if (served.payload != own.payload)
    diagnosis.add(
        "root_differs", settings.root.string(),
        fmt::format("root v{} that the registry serves is not the pinned one", pinned->version),
        "ask the holders of the root keys which one is right; change nothing before");
  else
    diagnosis.saw("root", fmt::format("v{} pinned, v{} served", pinned->version,
                                      session.client->welcome().root_version));
  return {};
}

// Whether a question that needs a right is answered, be it with "there is no such thing"; another
// error is one of the session.
template <typename T>
Result<bool> may_ask(RegistryClient& client, T question) {
  const auto answer = client.ask(std::move(question));
  if (answer || answer.error().code == ErrorCode::kNotFound) return true;
  if (answer.error().code == ErrorCode::kDenied) return false;
  return std::unexpected(answer.error());
}

Result<std::vector<trust::ReleaseRef>> check_rights(const Settings& settings,
                                                    RegistryClient& client, Diagnosis& diagnosis) {
  NOTP_ASSIGN(const ShownLedgers ledgers, ask_ledgers(client));
  NOTP_ASSIGN(const bool fleet, may_ask(client, wire::NodesRequest{.after = {}, .rows_max = 1}));
  NOTP_ASSIGN(const bool audit, may_ask(client, wire::LogsRequest{}));
  diagnosis.saw("may", fmt::format("read {}{}{}", counted(ledgers.heads.size(), "ledger"),
                                   fleet ? ", fleet" : "", audit ? ", audit" : ""));
  diagnosis.cannot_check("publish, trust and enroll: only their use shows who may");
  if (settings.ledger.empty()) return ledgers.heads;
  NOTP_ASSIGN(const model::LedgerId own, model::LedgerId::parse(settings.ledger));
  NOTP_ASSIGN(const bool may_read,
              may_ask(client, wire::HistoryRequest{.ledger = own, .rows_max = 1}));
  if (!may_read)
    diagnosis.add("ledger_denied", own.text(), "the registry does not let this identity read it",
                  "give it the right to read, in 'rights' of the registry");
  return ledgers.heads;
}

// A registry that was restored, or whose folder was put back, says so itself.
Result<void> check_lost(const Settings& settings, RegistryClient& client, Diagnosis& diagnosis) {
  const auto status = ask_recovery(client);
  if (!status && status.error().code == ErrorCode::kDenied) {
    diagnosis.cannot_check("whether the registry has lost releases: that needs the right fleet");
    return {};
  }
  // A registry of before does not know the question.
  if (!status && status.error().code == ErrorCode::kMessage) return {};
  if (!status) return std::unexpected(status.error());
  std::vector<std::string> facts;
  if (status->restored_ms != 0) facts.push_back("it was restored, and that was not confirmed");
  if (status->newest_root > status->root_version)
    facts.push_back(
        fmt::format("nodes have root v{}, it has v{}", status->newest_root, status->root_version));
  size_t lost = 0;
  for (const wire::RecoveryRow& row : status->rows)
    if (row.state != wire::RecoveryState::kRecovered && ++lost <= kLostShown)
      facts.push_back(row.state == wire::RecoveryState::kFork
                          ? fmt::format("{} is forked", row.ledger.text())
                          : fmt::format("nodes have {} up to v{}, it has v{}", row.ledger.text(),
                                        row.newest_version, row.head_version));
  if (lost > kLostShown)
    facts.push_back(fmt::format("and {} more", counted(lost - kLostShown, "ledger")));
  if (facts.empty())
    diagnosis.saw("lost releases", "none");
  else
    diagnosis.add("releases_lost", settings.registry, fmt::format("{}", fmt::join(facts, "; ")),
                  "run 'notp registry recover' when the nodes are connected");
  return {};
}

Result<void> check_clock(RegistryClient& client, const std::vector<trust::ReleaseRef>& heads,
                         Diagnosis& diagnosis) {
  if (heads.empty()) {
    diagnosis.cannot_check("the clock: the registry tells its time only with a release");
    return {};
  }
  NOTP_ASSIGN(const auto reading, client.read_clock_of_registry(heads.front()));
  if (!reading) {
    diagnosis.cannot_check("the clock: the registry sent no statement of freshness");
    return {};
  }
  const TimeMs ahead_ms = reading->registry_ms - reading->own_ms;
  if (std::abs(ahead_ms) > kClockMs)
    diagnosis.add("clock_differs", "clock",
                  fmt::format("this clock is {} s {} the registry's", std::abs(ahead_ms) / 1000,
                              ahead_ms > 0 ? "behind" : "ahead of"),
                  "set both clocks by NTP");
  else
    diagnosis.saw("clock", "as the registry's");
  return {};
}

Result<void> check_session(const Settings& settings, QuerySession& session, Now now,
                           Diagnosis& diagnosis) {
  if (session.chain) {
    check_root_expiry(settings, *session.chain->newest(), now, diagnosis);
    NOTP_TRY(check_root_served(settings, session, diagnosis));
  }
  NOTP_ASSIGN(const wire::TrustRow trust, session.client->ask(wire::TrustRequest{}));
  diagnosis.saw("deny list", trust.deny_list ? trust.deny_list->text() : "none");
  NOTP_ASSIGN(const auto heads, check_rights(settings, *session.client, diagnosis));
  if (trust.freshness_interval_ms == 0) {
    diagnosis.add("freshness_off", settings.registry,
                  "the registry signs no statements of freshness",
                  "give the registry the key that the root names");
  } else {
    NOTP_TRY(check_clock(*session.client, heads, diagnosis));
  }
  // Last: a registry of before ends the session.
  return check_lost(settings, *session.client, diagnosis);
}

}  // namespace

Result<void> examine_client(const Context& context, Diagnosis& diagnosis) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  check_files(settings, context.now, diagnosis);
  auto session = open_query_session(context, settings);
  if (!session) {
    // Of the settings: nothing says which registry, or as whom.
    if (session.error().code == ErrorCode::kUsage) return std::unexpected(session.error());
    // The files are named already, with what is wrong with them.
    if (session.error().code == ErrorCode::kConfig && !diagnosis.findings().empty()) return {};
    add_connection_error(session.error(), settings.registry, diagnosis);
    return {};
  }
  if (const auto asked = check_session(settings, *session, context.now, diagnosis); !asked)
    add_connection_error(asked.error(), settings.registry, diagnosis);
  return {};
}

}  // namespace notp::cli::doctor
