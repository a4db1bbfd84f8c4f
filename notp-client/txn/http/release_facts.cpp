#include "notp-client/txn/http/release_facts.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/json/json.hpp"
#include "common/log.hpp"
#include "protocol/model/validate.hpp"

namespace notp::txn {
namespace {

std::string file_of(std::string_view name) { return fmt::format("keys/{}/data.json", name); }

Result<json::value> load_document(const Hash& hash, const model::BlobLoader& load) {
  NOTP_ASSIGN(const model::Content content, load(hash));
  return parse_json(*content);
}

IssuerKeys read_keys(const Hash& hash, const model::BlobLoader& load) {
  IssuerKeys out{.document = hash};
  const auto document = load_document(hash, load);
  if (!document) {
    out.fault = document.error().message;
    return out;
  }
  if (const json::object* const object = document->if_object())
    if (const json::value* const issuer = object->if_contains("issuer");
        issuer && issuer->is_string())
      out.issuer = issuer->get_string();
  auto keys = jose::KeySet::parse(*document);
  if (keys)
    out.keys = std::make_shared<const jose::KeySet>(*std::move(keys));
  else
    out.fault = keys.error().message;
  return out;
}

// As the registry reads it, whose check of the list came before (protocol/session, "Revocation"):
// from whichever documents of the model.
Result<DeniedIdentities> read_denied(const model::Tree& tree, const model::BlobLoader& load) {
  NOTP_ASSIGN(const json::value data, model::merge_data(tree, load));
  const json::value* listed = &data;
  for (const char* name : {"notp", "denied", "identities"}) {
    const json::object* const object = listed ? listed->if_object() : nullptr;
    listed = object ? object->if_contains(name) : nullptr;
  }
  if (!listed || !listed->is_object())
    return fail(ErrorCode::kInvalidModel, "there is no object notp.denied.identities");
  DeniedIdentities out{.content_root = tree.content_root(), .identities = {}};
  for (const auto& [identity, entry] : listed->get_object()) out.identities.emplace(identity);
  return out;
}

void add_keys(const std::string& name, const ReleaseFacts& before, const model::BlobLoader& load,
              ReleaseFacts& out) {
  for (const auto& [ledger, release] : out.active->ledgers) {
    const model::FileEntry* const file = release.tree ? release.tree->find(file_of(name)) : nullptr;
    if (file == nullptr || release.freshness_status.denies()) continue;
    const auto known = before.keys.find(name);
    const bool is_known = known != before.keys.end() && known->second.document == file->hash &&
                          known->second.keys != nullptr;
    IssuerKeys keys = is_known ? known->second : read_keys(file->hash, load);
    if (!keys.fault.empty())
      log::warn("txn_keys_unreadable",
                {{"name", name}, {"ledger", ledger.text()}, {"message", keys.fault}});
    out.keys.emplace(name, std::move(keys));
    return;
  }
}

void add_denied(const model::LedgerId& ledger, const ReleaseFacts& before,
                const model::BlobLoader& load, ReleaseFacts& out) {
  const auto found = out.active->ledgers.find(ledger);
  out.denied = before.denied;
  // No release yet: no identity is denied, or those that were before.
  if (found == out.active->ledgers.end() || !found->second.tree) return;
  const model::Tree& tree = *found->second.tree;
  if (before.denied_fault.empty() && before.denied.content_root == tree.content_root()) return;
  auto denied = read_denied(tree, load);
  if (denied) {
    out.denied = *std::move(denied);
    return;
  }
  out.denied_fault = fmt::format("{}: {}", ledger.text(), denied.error().message);
  log::warn("txn_deny_list_unreadable", {{"ledger", ledger.text()}, {"message", out.denied_fault}});
}

}  // namespace

std::shared_ptr<const jose::KeySet> ReleaseFacts::find(const std::string& name,
                                                       std::string_view issuer) const {
  const auto found = keys.find(name);
  if (found == keys.end()) return nullptr;
  const bool is_theirs =
      issuer.empty() || found->second.issuer.empty() || found->second.issuer == issuer;
  return is_theirs ? found->second.keys : nullptr;
}

ReleaseFacts read_facts(const ReleaseFactsOptions& options, const ReleaseFacts& before,
                        pdp::ActiveSetPtr active, const model::BlobLoader& load) {
  ReleaseFacts out;
  out.active = std::move(active);
  if (!out.active) return out;
  for (const std::string& name : options.keys) add_keys(name, before, load, out);
  if (options.deny_list) add_denied(*options.deny_list, before, load, out);
  return out;
}

CurrentFacts::CurrentFacts(ReleaseFactsOptions options, pdp::Pdp& pdp,
                           boost::asio::thread_pool& pool, model::BlobLoader load)
    : options_(std::move(options)), pdp_(pdp), pool_(pool), load_(std::move(load)) {}

boost::asio::awaitable<ReleaseFactsPtr> CurrentFacts::get() {
  const pdp::ActiveSetPtr active = pdp_.basis()->active;
  ReleaseFactsPtr facts = facts_.get();
  if (facts->active == active) co_return facts;
  const auto read = [this]() -> boost::asio::awaitable<ReleaseFactsPtr> {
    // Who waits here finds the facts of the one before; nobody puts back those of an older set.
    const MutexLock lock(reading_);
    const pdp::ActiveSetPtr set = pdp_.basis()->active;
    ReleaseFactsPtr known = facts_.get();
    if (known->active == set) co_return known;
    auto made = std::make_shared<const ReleaseFacts>(read_facts(options_, *known, set, load_));
    facts_.set(made);
    co_return made;
  };
  co_return co_await boost::asio::co_spawn(pool_, read(), boost::asio::use_awaitable);
}

}  // namespace notp::txn
