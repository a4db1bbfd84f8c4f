#include "tools/notp/release_source.hpp"

#include <fmt/format.h>

#include "common/clock.hpp"

namespace notp::cli {

Result<std::unique_ptr<ReleaseSource>> ReleaseSource::open(const Settings& settings,
                                                           const Environment& environment,
                                                           const Output& output,
                                                           const LedgerId& ledger) {
  NOTP_ASSIGN(Root root, load_root(settings, read_clock().wall_ms));
  std::unique_ptr<ReleaseSource> source(
      new ReleaseSource(environment, output, ledger, std::move(root)));
  NOTP_ASSIGN(source->client_, RegistryClient::connect(settings, source->root_.trust_domain,
                                                       source->root_.version, {ledger}));
  NOTP_ASSIGN(source->head_, source->client_->head(ledger));
  return source;
}

Result<std::shared_ptr<const PulledRelease>> ReleaseSource::pull_head() {
  const std::optional<PulledRelease> known = cache_.newest(ledger_);
  const Floor floor =
      known ? Floor{known->release().epoch, known->release().version, known->verified.hash}
            : Floor{};
  if (!head_) {
    if (!known) return nullptr;
    return fail(ErrorCode::kRollback,
                fmt::format("the registry has no release of {}, but v{} was verified here before",
                            ledger_.text(), known->release().version));
  }
  if (known && known->verified.hash == head_->release_hash)
    return std::make_shared<const PulledRelease>(*known);
  return fetch(head_->version, known ? &*known : nullptr, floor);
}

Result<std::shared_ptr<const PulledRelease>> ReleaseSource::pull(uint64_t version) {
  if (auto kept = cache_.find(ledger_, version))
    return std::make_shared<const PulledRelease>(std::move(*kept));
  const std::optional<PulledRelease> base = cache_.newest(ledger_);
  return fetch(version, base ? &*base : nullptr, {});
}

Result<std::shared_ptr<const PulledRelease>> ReleaseSource::fetch(uint64_t version,
                                                                  const PulledRelease* base,
                                                                  const Floor& floor) {
  std::optional<wire::Base> have;
  if (base) have = wire::Base{base->release().version, base->release().content_root};
  Progress progress(output_, fmt::format("receiving {} v{}", ledger_.text(), version));
  NOTP_ASSIGN(const RegistryClient::Fetched fetched,
              client_->fetch(ledger_, version, have, progress));
  progress.clear();
  if (fetched.offer.base && fetched.offer.base != have)
    return fail(ErrorCode::kState,
                fmt::format("the registry sent a delta on v{}, which was not offered to it",
                            fetched.offer.base->version));
  auto release =
      open_artifact(fetched.artifact, fetched.offer.base ? base : nullptr, root_, ledger_, floor);
  if (!release) return std::unexpected(std::move(release).error());
  if (release->release().version != version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("the registry sent v{} of {} where v{} was asked for",
                            release->release().version, ledger_.text(), version));
  cache_.keep(*release);
  return std::make_shared<const PulledRelease>(std::move(*release));
}

}  // namespace notp::cli
