#include "notp-server/authz/deny_list.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::authz {
namespace {

using Reasons = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view kFile = "notp/denied/data.json";
constexpr std::string_view kRule = "deny-list";

struct Reading {
  Reasons reasons;
  std::vector<model::ModelFinding> findings;

  void find(std::string message) {
    if (findings.size() >= limits::kFindingsMax) return;
    findings.push_back({std::string(kFile), 0, 0, std::string(kRule), std::move(message)});
  }
};

const json::value* child(const json::value* value, std::string_view name) {
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

void read_entry(Reading& out, std::string_view identity, const json::value& entry) {
  if (!model::SpiffeId::parse(identity)) {
    return out.find(fmt::format(
        "'{}' is no identity; write the whole SPIFFE id, as in spiffe://<trust-domain>/node/<name>",
        printable(identity)));
  }
  const json::value* reason = child(&entry, "reason");
  const json::value* since = child(&entry, "since");
  const bool whole = entry.is_object() && reason != nullptr && reason->is_string() &&
                     (since == nullptr || since->is_string()) &&
                     entry.get_object().size() == (since == nullptr ? 1U : 2U);
  if (!whole || reason->get_string().size() > limits::kErrorTextBytesMax)
    return out.find(fmt::format(
        "{} must be {{\"reason\": \"…\"}}, maybe with \"since\": \"…\", and nothing else",
        identity));
  out.reasons.emplace(identity, std::string(reason->get_string()));
}

Result<Reading> read(const model::ModelContent& content) {
  Reading out;
  auto data = model::merge_data(*content.tree, content.loader());
  if (!data && data.error().code != ErrorCode::kInvalidModel &&
      data.error().code != ErrorCode::kMessage)
    return std::unexpected(std::move(data).error());
  if (!data) {
    out.find(data.error().message);
    return out;
  }
  const json::value* notp = child(&*data, "notp");
  const json::value* denied = child(notp, "denied");
  const json::value* identities = child(denied, "identities");
  if (identities == nullptr || !identities->is_object() || denied->get_object().size() != 1) {
    out.find(fmt::format("{} must be {{\"identities\": {{…}}}} and nothing else", kFile));
    return out;
  }
  const json::object& entries = identities->get_object();
  if (entries.size() > limits::kDenyListMax) {
    out.find(
        fmt::format("{} identities, at most {} are denied", entries.size(), limits::kDenyListMax));
    return out;
  }
  for (const auto& [identity, entry] : entries) read_entry(out, identity, entry);
  return out;
}

}  // namespace

Result<std::vector<model::ModelFinding>> check_deny_list(const model::ModelContent& content) {
  NOTP_ASSIGN(Reading reading, read(content));
  return std::move(reading.findings);
}

Result<void> DenyList::load(registry::Registry& registry) {
  if (auto damage = registry.damage(ledger_))
    return std::unexpected(Error{
        damage->code,
        fmt::format(
            "the deny list cannot be read, and so denied identities could not be turned away: {}",
            damage->message),
        {}}.with("ledger", ledger_.text()));
  const auto head = registry.head(ledger_);
  for (uint64_t version = head ? head->release.version : 0; version > 0; --version) {
    NOTP_ASSIGN(const registry::SnapshotPtr release, registry.snapshot(ledger_, version));
    auto updated = update(*release);
    if (updated) return {};
    if (updated.error().code != ErrorCode::kInvalidModel) return updated;
    log::write(log::Level::kError, "deny_list_not_read", updated.error(),
               {{"ledger", ledger_.text()}, {"version", version}});
  }
  log::info("deny_list_empty", {{"ledger", ledger_.text()}});
  return {};
}

Result<void> DenyList::update(const registry::Snapshot& release) {
  NOTP_ASSIGN(Reading reading, read(release.content));
  if (!reading.findings.empty())
    return fail(ErrorCode::kInvalidModel,
                "the deny list cannot be read: " + model::findings_text(reading.findings));
  auto entries = std::make_shared<Entries>();
  entries->epoch = release.release.epoch;
  entries->version = release.release.version;
  entries->reasons = std::move(reading.reasons);
  const size_t count = entries->reasons.size();
  {
    const MutexLock lock(updating_);
    const auto now = entries_.get();
    if (std::pair(entries->epoch, entries->version) < std::pair(now->epoch, now->version))
      return {};
    entries_.set(std::move(entries));
  }
  log::info(
      "deny_list",
      {{"ledger", ledger_.text()}, {"version", release.release.version}, {"identities", count}});
  return {};
}

std::optional<std::string> DenyList::find(std::string_view identity) const {
  const auto entries = entries_.get();
  const auto found = entries->reasons.find(identity);
  if (found == entries->reasons.end()) return std::nullopt;
  return found->second;
}

Result<void> DenyList::check(const std::string& identity) const {
  const auto reason = find(identity);
  if (!reason) return {};
  return fail(ErrorCode::kRevoked,
              fmt::format("{} is on the deny list {} ({}); only a release of that ledger without "
                          "it lets it in again",
                          identity, ledger_.text(), printable(*reason)));
}

}  // namespace notp::authz
