// Whether the commit and the tag of an upstream's tip are signed by whom its configuration allows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/mirror/upstream_repository.hpp"
#include "tools/notp/mirror/upstream_signatures.hpp"

namespace notp::cli {

// Commits with the same content that are walked through, and whose signatures are looked at.
inline constexpr size_t kSameContentCommitsMax = 512, kFurtherSignaturesMax = 64;
// Parents of those, with other content or not looked at, at most.
inline constexpr size_t kOtherCommitsMax = 512;

// For one call of Upstream::verify().
class UpstreamVerifier {
 public:
  // Both outlive it.
  UpstreamVerifier(const UpstreamRepository& repository, const UpstreamTip& tip)
      : repository_(repository), tip_(tip) {}

  // As Upstream::verify(). The tip has been fetched.
  Result<std::string> run();

 private:
  const UpstreamConfig& config() const { return repository_.config(); }
  Result<void> prepare_keys() const;
  Result<void> copy_keys(const std::filesystem::path& from, const std::filesystem::path& to,
                         std::string_view setting) const;
  Result<UpstreamSigner> verify_object(GitTrees& trees, const std::string& id,
                                       std::string_view type, const std::string& shown) const;
  Result<UpstreamSigner> verify_commit(GitTrees& trees, const std::string& id) const;
  Result<UpstreamSigner> verify_tag(GitTrees& trees) const;
  Result<bool> is_good_without_revocations(const std::vector<std::string>& words) const;
  Result<void> add_further_signers(GitTrees& trees);
  Result<std::vector<std::string>> unchanged_commits(GitTrees& trees) const;

  const UpstreamRepository& repository_;
  const UpstreamTip& tip_;
  UpstreamSigners signers_;
};

}  // namespace notp::cli
