#include "tools/notp/query/release_source.hpp"

#include <fmt/format.h>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"

namespace notp::cli {
namespace {

using PulledPtr = std::shared_ptr<const PulledRelease>;

trust::Floor floor_of(const PulledRelease* release) {
  if (!release) return {};
  return {release->release().epoch, release->release().version, release->verified.ref.release_hash};
}

trust::Trusted trusted_at(const RootChain& chain, const model::LedgerId& ledger,
                          const PulledRelease* head) {
  trust::Trusted trusted;
  trusted.root = chain.newest();
  trusted.ledgers[ledger].floor = floor_of(head);
  return trusted;
}

// A registry restored from an older copy looks like an attacker, and the two cannot be told apart
// here. The legitimate operator asks the holders of the root keys for a new epoch.
Error restored_or_attacked(Error error) {
  if (error.code != ErrorCode::kRollback && error.code != ErrorCode::kEquivocation) return error;
  return std::move(error).with(
      "hint",
      "when the registry was restored from an older copy, a root with a new epoch lets it go on "
      "from there: 'notp root set-epoch', 'notp root sign', 'notp root publish', then publish "
      "again; when it was not, releases are held back on the way");
}

// Returns the hash of `version`, by the links of the releases from `head` down.
Result<Hash> linked_hash(RegistryClient& client, const model::LedgerId& ledger,
                         const trust::ReleaseRef& head, uint64_t version) {
  Hash expected = head.release_hash;
  for (uint64_t at = head.version; at > version;) {
    wire::HistoryRequest request;
    request.ledger = ledger;
    request.below_version = at + 1;
    request.rows_max =
        static_cast<uint32_t>(std::min<uint64_t>(at - version, limits::kQueryRowsMax));
    NOTP_ASSIGN(const wire::HistoryPage page, client.ask(request));
    if (page.rows.empty())
      return fail(ErrorCode::kNotFound,
                  fmt::format("the registry lists no v{} of {}", at, ledger.text()));
    for (const wire::HistoryRow& row : page.rows) {
      NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(row.envelope));
      NOTP_ASSIGN(const trust::Release release, trust::Release::decode(envelope.payload));
      if (release.version != at || trust::release_hash(envelope.payload) != expected)
        return fail(ErrorCode::kEquivocation,
                    fmt::format("v{} in the registry's history of {} is not the release that the "
                                "one after it names",
                                at, ledger.text()));
      expected = release.previous_hash;
      if (--at == version) break;
    }
  }
  return expected;
}

}  // namespace

Result<std::unique_ptr<RegistryClient>> connect_to_registry(
    const Settings& settings, RootChain& chain, const std::vector<model::LedgerId>& ledgers,
    TimeMs now_ms) {
  const trust::Root& known = *chain.newest();
  const uint64_t seen = chain.seen_version();
  NOTP_ASSIGN(auto client,
              RegistryClient::connect(settings, known.trust_domain, known.version, ledgers));
  if (client->welcome().root_version < seen)
    return std::unexpected(Error{
        ErrorCode::kRollback,
        fmt::format("the registry is at root {}, but root {} of {} was seen here before",
                    client->welcome().root_version, seen, known.trust_domain),
        {}}.with("hint", fmt::format("when the registry was restored from an older copy, give it "
                                     "what it lost: 'notp registry recover', or, when no node has "
                                     "it, 'notp root publish {}'",
                                     chain.file_of(client->welcome().root_version + 1).string())));
  NOTP_TRY(chain.extend(client->roots(), now_ms));
  return client;
}

Result<std::unique_ptr<ReleaseSource>> ReleaseSource::open(const Settings& settings,
                                                           const Environment& environment,
                                                           const Output& output,
                                                           const model::LedgerId& ledger) {
  NOTP_ASSIGN(RootChain chain, RootChain::load(settings, environment));
  const TimeMs now_ms = read_clock().wall_ms;
  NOTP_ASSIGN(auto client, connect_to_registry(settings, chain, {ledger}, now_ms));
  NOTP_TRY(chain.check_expiry(now_ms));
  chain.warn_of_expiry(output, now_ms);
  std::unique_ptr<ReleaseSource> source(
      new ReleaseSource(environment, output, ledger, std::move(chain)));
  source->client_ = std::move(client);
  NOTP_ASSIGN(source->head_, source->client_->head(ledger));
  return source;
}

Result<PulledPtr> ReleaseSource::pull_head() {
  if (pulled_head_) return pulled_head_;
  const std::optional<PulledRelease> known = cache_.newest(ledger_);
  // With a new epoch, signed by the holders of the root keys, the versions restart.
  const bool starts_over = known && root().epoch > known->release().epoch;
  if (!head_) {
    if (!known || starts_over) return nullptr;
    return std::unexpected(restored_or_attacked(
        Error{ErrorCode::kRollback,
              fmt::format("the registry has no release of {}, but v{} was verified here before",
                          ledger_.text(), known->release().version),
              {}}));
  }
  PulledPtr head;
  if (known && known->verified.ref.release_hash == head_->release_hash) {
    head = std::make_shared<const PulledRelease>(*known);
  } else {
    const PulledRelease* base = known ? &*known : nullptr;
    auto fetched = fetch(head_->version, base, starts_over ? trust::Floor{} : floor_of(base));
    if (!fetched) return std::unexpected(restored_or_attacked(std::move(fetched).error()));
    head = *std::move(fetched);
  }
  if (head->root_version < root().version)
    output_.note(
        fmt::format("warning: {} v{} stands under root {} but not under root {}: its keys "
                    "or their number do not count any more, and nodes let it age; publish "
                    "a new release",
                    ledger_.text(), head->release().version, head->root_version, root().version));
  pulled_head_ = head;
  return head;
}

Result<PulledPtr> ReleaseSource::pull(uint64_t version) {
  std::optional<PulledRelease> kept = cache_.find(ledger_, version);
  const std::optional<PulledRelease> base = kept ? std::nullopt : cache_.newest(ledger_);
  PulledPtr release;
  if (kept) {
    release = std::make_shared<const PulledRelease>(*std::move(kept));
  } else {
    NOTP_ASSIGN(release, fetch(version, base ? &*base : nullptr, {}));
  }
  // Keys that no longer count could sign another release of the past today.
  if (release->root_version < root().version) NOTP_TRY(check_linked(*release));
  return release;
}

Result<void> ReleaseSource::check_linked(const PulledRelease& release) {
  const uint64_t version = release.release().version;
  if (!head_ || version > head_->version) return {};
  NOTP_ASSIGN(const Hash linked, linked_hash(*client_, ledger_, *head_, version));
  if (linked == release.verified.ref.release_hash) return {};
  return fail(ErrorCode::kEquivocation,
              fmt::format("v{} of {} is signed by keys that do not count any more, and the "
                          "releases after it name another one",
                          version, ledger_.text()));
}

Result<RegistryClient::Fetched> ReleaseSource::fetch_artifact(wire::Want want) {
  const std::optional<wire::Base> offered = want.base;
  Progress progress(output_, fmt::format("receiving {} v{}", ledger_.text(), want.version));
  NOTP_ASSIGN(RegistryClient::Fetched fetched, client_->fetch(std::move(want), progress));
  progress.clear();
  if (fetched.offer.base && fetched.offer.base != offered)
    return fail(ErrorCode::kState,
                fmt::format("the registry sent a delta on v{}, which was not offered to it",
                            fetched.offer.base->version));
  return fetched;
}

Result<PulledPtr> ReleaseSource::fetch(uint64_t version, const PulledRelease* base,
                                       const trust::Floor& floor) {
  wire::Want want;
  want.ledger = ledger_;
  want.version = version;
  if (base) want.base = wire::Base{base->release().version, base->release().content_root};
  NOTP_ASSIGN(const RegistryClient::Fetched fetched, fetch_artifact(std::move(want)));
  NOTP_ASSIGN(PulledRelease release,
              open_artifact(fetched.artifact, fetched.offer.base ? base : nullptr, chain_.all(),
                            ledger_, floor));
  if (release.release().version != version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("the registry sent v{} of {} where v{} was asked for",
                            release.release().version, ledger_.text(), version));
  cache_.keep(release);
  return std::make_shared<const PulledRelease>(std::move(release));
}

Result<PendingRelease> ReleaseSource::pull_pending(const wire::PendingRow& row) {
  NOTP_ASSIGN(const PulledPtr head, pull_head());
  PendingRelease pending;
  NOTP_ASSIGN(pending.waiting,
              trust::verify_pending(row.envelope, ledger_, trusted_at(chain_, ledger_, head.get()),
                                    read_clock().wall_ms));
  if (pending.waiting.ref.release_hash != row.release_hash ||
      pending.waiting.release().version != row.version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("the registry lists {} v{} with the statement of another release",
                            ledger_.text(), row.version));
  wire::Want want;
  want.ledger = ledger_;
  want.version = row.version;
  want.pending_hash = row.release_hash;
  if (head) want.base = wire::Base{head->release().version, head->release().content_root};
  NOTP_ASSIGN(const RegistryClient::Fetched fetched, fetch_artifact(std::move(want)));
  NOTP_ASSIGN(pending.content,
              open_content(fetched.artifact, fetched.offer.base ? head.get() : nullptr,
                           pending.waiting.release()));
  NOTP_TRY(trust::check_content(root(), pending.waiting.release(), *pending.content.tree,
                                pending.content.loader()));
  NOTP_TRY(trust::check_roots(pending.waiting.release(), *pending.content.tree,
                              pending.content.loader()));
  return pending;
}

}  // namespace notp::cli
