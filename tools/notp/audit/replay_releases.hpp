// Where replays take the releases from that recorded decisions were made with.
#pragma once

#include <map>
#include <memory>

#include "protocol/record/record.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/query/release_source.hpp"

namespace notp::cli {

using PulledReleasePtr = std::shared_ptr<const PulledRelease>;

// Blocking; one thread. Every release is verified by its signatures and its content.
class ReleaseArchive {
 public:
  virtual ~ReleaseArchive() = default;
  // kNotFound, kDenied, and the errors of a release that does not verify: only this one cannot be
  // had. Others: nothing can be had now.
  virtual Result<PulledReleasePtr> pull(const model::LedgerId& ledger, uint64_t version) = 0;
};

// Asks the registry, with a session for each ledger. The context must outlive it.
class RegistryArchive final : public ReleaseArchive {
 public:
  RegistryArchive(const Context& context, Settings settings)
      : context_(context), settings_(std::move(settings)) {}
  Result<PulledReleasePtr> pull(const model::LedgerId& ledger, uint64_t version) override;

 private:
  const Context& context_;
  const Settings settings_;
  std::map<model::LedgerId, std::unique_ptr<ReleaseSource>> sources_;
};

// Pulls recorded releases, each once, and checks that they are those of the record.
class RecordedReleases {
 public:
  explicit RecordedReleases(ReleaseArchive& archive) : archive_(archive) {}

  // kNotFound with the reason in the message: the release is gone, may not be read, or is not the
  // recorded one. The archive's other errors.
  Result<PulledReleasePtr> find(const trust::ReleaseRef& recorded);

 private:
  ReleaseArchive& archive_;
  std::map<Hash, Result<PulledReleasePtr>> known_;  // by release hash; kNotFound is known, too
  uint64_t known_bytes_ = 0;                        // of their content
};

// What a replay keeps of releases that it may need again: how many, and bytes of content.
inline constexpr size_t kReplayReleasesMax = 256;
inline constexpr uint64_t kReplayReleasesBytesMax = 512ULL << 20;

}  // namespace notp::cli
