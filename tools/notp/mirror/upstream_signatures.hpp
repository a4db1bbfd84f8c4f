// Signatures of Git's commits and tags: what an object says, and what git found when it verified
// it. Pure functions of foreign bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::cli {

enum class SignatureKind : uint8_t { kNone, kSsh, kOpenPgp, kOther };

// Of the content of a commit or tag object: the signature that git would verify.
SignatureKind signature_kind_of_commit(ByteView content);
SignatureKind signature_kind_of_tag(ByteView content);

// The first lines of a tag object (git-mktag(1)).
struct TagObject {
  std::string object;  // what it leads to
  std::string type;    // of that
  std::string name;    // without "refs/tags/"
};
// kSignature: not such an object.
Result<TagObject> parse_tag(ByteView content);

struct UpstreamSigner {
  std::string name;  // the principal of the allowed-signers file, or the user id
  std::string key;   // "SHA256:…", or the fingerprint of the OpenPGP primary key
};

// The signer in what `git verify-commit --raw` and `git verify-tag --raw` have written to standard
// error. `is_good`: git exited with 0. The errors' texts continue "the commit … ": kSignature,
// kExpired, kRevoked.
//
// An SSH key has to be valid at the time that the commit or tag itself gives, as with git: whoever
// has the key can choose that time, so a key that leaked is revoked or taken off the list. An
// OpenPGP key has to be valid now.
Result<UpstreamSigner> ssh_signer_of(bool is_good, std::string_view raw);
Result<UpstreamSigner> gpg_signer_of(bool is_good, std::string_view raw);

// Distinct signers: neither name nor key counts twice.
class UpstreamSigners {
 public:
  void add(UpstreamSigner signer);
  size_t count() const { return signers_.size(); }
  // For trust::Source::signer: printable ASCII, at most kSourceTextBytesMax.
  std::string text() const;

 private:
  std::vector<UpstreamSigner> signers_;
};

}  // namespace notp::cli
