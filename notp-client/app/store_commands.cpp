#include "notp-client/app/store_commands.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/clock.hpp"
#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "common/storage/files.hpp"
#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/install.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/store/staging_files.hpp"

namespace notp::client {
namespace {

// AgentTrust's verdict on a readable store.
struct TrustCheck {
  std::vector<store::StoreFinding> findings;
  bool untrusted = false;

  void add(std::string part, const Error& error, std::string advice) {
    untrusted |= error_traits(error.code).exit == exit_code::kUntrusted;
    findings.push_back({std::move(part), "signatures", error.message, std::move(advice)});
  }
};

Result<std::string> domain_of(ByteView root_envelope) {
  NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(root_envelope));
  NOTP_ASSIGN(const trust::Root root, trust::Root::decode(envelope.payload));
  return root.trust_domain;
}

Result<agent::AgentTrust> judge(const StoreCommandOptions& options, store::StoreState& state) {
  Bytes pinned;
  if (!options.root.empty()) {
    NOTP_ASSIGN(pinned, read_file(options.root, limits::kEnvelopeBytesMax));
  } else if (!state.root_chain.empty()) {
    pinned = state.root_chain.front().envelope;
  } else {
    return fail(ErrorCode::kRootInvalid,
                "the store holds no root and none was named: nothing says who may sign");
  }
  agent::AgentTrustOptions trust;
  if (options.trust_domain) {
    trust.trust_domain = *options.trust_domain;
  } else {
    NOTP_ASSIGN(trust.trust_domain, domain_of(pinned));
  }
  for (const auto& [ledger, stored] : state.ledgers) trust.ledgers.push_back(ledger);
  return agent::AgentTrust::open(std::move(trust), pinned, state, read_clock());
}

TrustCheck check_signatures(const StoreCommandOptions& options, store::SqliteStore& store) {
  TrustCheck check;
  auto state = store.load();
  if (!state) return check;  // check() reports it row by row
  agent::mark_keys_only(*state, store);
  state->findings.clear();  // likewise
  const bool is_empty = state->root_chain.empty() && state->ledgers.empty();
  if (is_empty && options.root.empty()) return check;
  const auto trust = judge(options, *state);
  if (!trust) {
    check.add("root", trust.error(), "the agent does not start with it: see the message");
    return check;
  }
  for (const Error& finding : trust->findings())
    check.add("release", finding,
              "start the agent while its registry can be reached: it fetches the newest release "
              "anew; find out who could write the store");
  return check;
}

json::value findings_json(const std::vector<store::StoreFinding>& findings) {
  json::array rows;
  for (const store::StoreFinding& finding : findings)
    rows.push_back(json::object{{"part", finding.part},
                                {"subject", finding.subject},
                                {"problem", finding.problem},
                                {"advice", finding.advice}});
  return rows;
}

std::string verify_text(const StoreCommandOptions& options, const store::StoreCheck& check) {
  std::string out =
      fmt::format("{}: {} releases, {} contents, {} segments checked\n", options.data_dir.string(),
                  check.releases, check.blobs, check.segments);
  for (const store::StoreFinding& finding : check.findings)
    out += fmt::format("\n{} {}: {}\n    what to do: {}\n", finding.part, finding.subject,
                       finding.problem, finding.advice);
  out += check.findings.empty() ? "everything is as it was signed and stored\n"
                                : fmt::format("\n{} finding{}\n", check.findings.size(),
                                              check.findings.size() == 1 ? "" : "s");
  return out;
}

std::string time_text(TimeMs time_ms) { return time_ms == 0 ? "never" : utc_time(time_ms); }

std::string_view release_state(const store::StoredRelease& release) {
  return release.held          ? "held"
         : release.quarantined ? "refused"
         : release.confirmed   ? "confirmed"
                               : "stored";
}

std::string ledger_text(const store::LedgerStats& ledger) {
  std::string out =
      fmt::format("\n{}: floor v{}, the registry named v{}; {} in {} releases, {} of it shared\n",
                  ledger.ledger.text(), ledger.floor.version, ledger.listed.version,
                  size_text(ledger.bytes), ledger.releases.size(), size_text(ledger.shared_bytes));
  out += fmt::format("  {:>8}  {:>6}  {:>10}  {:>10}  {:9}  {}\n", "RELEASE", "FILES", "SIZE",
                     "OWN", "STATE", "STORED");
  for (const store::ReleaseStats& row : ledger.releases)
    out += fmt::format("  {:>8}  {:>6}  {:>10}  {:>10}  {:9}  {}\n",
                       fmt::format("v{}", row.release.ref.version), row.files, size_text(row.bytes),
                       size_text(row.own_bytes), release_state(row.release),
                       time_text(row.release.stored_ms));
  return out;
}

std::string stats_text(const StoreCommandOptions& options, const store::StoreStats& stats) {
  const auto fact = [](std::string_view name, const std::string& value) {
    return fmt::format("{:<12}{}\n", name, value);
  };
  std::string out = fact("store", options.data_dir.string());
  out += fact("file", fmt::format("{} in {} pages, {} of them free; log {}",
                                  size_text(stats.pages * stats.page_bytes), stats.pages,
                                  stats.free_pages, size_text(stats.log_bytes)));
  out += fact("content",
              fmt::format("{} contents, {} segments of {}; {} stored, {} shared by segments",
                          stats.blobs, stats.segments, size_text(stats.segment_bytes),
                          size_text(stats.stored_bytes), size_text(stats.shared_segment_bytes)));
  out += fact("staged", size_text(stats.staged_bytes));
  out += fact("garbage", fmt::format("{} files that no kept release has", stats.garbage_files));
  out += fact("root", fmt::format("v{}, the last of {} kept", stats.root_version, stats.roots));
  out += fact("freshness", fmt::format("sequence {}, accepted {}", stats.freshness_sequence,
                                       time_text(stats.vouched_ms)));
  out += fact("time", "seen up to " + time_text(stats.clock.wall_ms) + ", signed up to " +
                          time_text(stats.clock.signed_ms));
  for (const store::LedgerStats& ledger : stats.ledgers) out += ledger_text(ledger);
  return out;
}

json::value ledger_json(const store::LedgerStats& ledger) {
  json::array releases;
  for (const store::ReleaseStats& row : ledger.releases)
    releases.push_back(json::object{{"version", row.release.ref.version},
                                    {"epoch", row.release.ref.epoch},
                                    {"release", row.release.ref.release_hash.hex()},
                                    {"content_root", row.release.ref.content_root.hex()},
                                    {"files", row.files},
                                    {"bytes", row.bytes},
                                    {"own_bytes", row.own_bytes},
                                    {"state", release_state(row.release)},
                                    {"error", row.release.error},
                                    {"stored_ms", row.release.stored_ms}});
  return json::object{{"ledger", ledger.ledger.text()},
                      {"floor_epoch", ledger.floor.epoch},
                      {"floor_version", ledger.floor.version},
                      {"listed_version", ledger.listed.version},
                      {"bytes", ledger.bytes},
                      {"shared_bytes", ledger.shared_bytes},
                      {"releases", std::move(releases)}};
}

json::value stats_json(const store::StoreStats& stats) {
  json::array ledgers;
  for (const store::LedgerStats& ledger : stats.ledgers) ledgers.push_back(ledger_json(ledger));
  return json::object{{"ledgers", std::move(ledgers)},
                      {"root_version", stats.root_version},
                      {"roots", stats.roots},
                      {"freshness_sequence", stats.freshness_sequence},
                      {"vouched_ms", stats.vouched_ms},
                      {"high_water_ms", stats.clock.wall_ms},
                      {"signed_high_ms", stats.clock.signed_ms},
                      {"contents", stats.blobs},
                      {"segments", stats.segments},
                      {"segment_bytes", stats.segment_bytes},
                      {"shared_segment_bytes", stats.shared_segment_bytes},
                      {"stored_bytes", stats.stored_bytes},
                      {"garbage_files", stats.garbage_files},
                      {"page_bytes", stats.page_bytes},
                      {"pages", stats.pages},
                      {"free_pages", stats.free_pages},
                      {"log_bytes", stats.log_bytes},
                      {"staged_bytes", stats.staged_bytes}};
}

}  // namespace

Result<StoreAnswer> verify_store(const StoreCommandOptions& options) {
  store::StoreCheck check;
  bool untrusted = false;
  auto store = store::SqliteStore::open_to_read(options.data_dir);
  if (store) {
    check = (*store)->check();
    TrustCheck trust = check_signatures(options, **store);
    untrusted = trust.untrusted;
    std::ranges::move(trust.findings, std::back_inserter(check.findings));
  } else if (store.error().code == ErrorCode::kCorrupt) {
    check.findings.push_back({"database", store::kStoreFile, store.error().message,
                              "move the data folder away and let the agent fetch again"});
  } else {
    return std::unexpected(store.error());
  }
  const int code = untrusted                ? exit_code::kUntrusted
                   : check.findings.empty() ? exit_code::kOk
                                            : exit_code::kFailure;
  if (!options.as_json) return StoreAnswer{verify_text(options, check), code};
  return StoreAnswer{pretty_json(json::object{{"data_dir", options.data_dir.string()},
                                              {"releases", check.releases},
                                              {"contents", check.blobs},
                                              {"segments", check.segments},
                                              {"findings", findings_json(check.findings)}}) +
                         "\n",
                     code};
}

Result<StoreAnswer> describe_store(const StoreCommandOptions& options) {
  NOTP_ASSIGN(const auto store, store::SqliteStore::open_to_read(options.data_dir));
  NOTP_ASSIGN(store::StoreStats stats, store->stats());
  stats.staged_bytes = store::StagingFiles(options.data_dir).stored_bytes();
  return StoreAnswer{
      options.as_json ? pretty_json(stats_json(stats)) + "\n" : stats_text(options, stats),
      exit_code::kOk};
}

}  // namespace notp::client
