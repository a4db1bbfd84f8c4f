// The upstream Git repository of a mirror, through the stock git program: its newest commit or tag,
// a fetch without a checkout, signatures, and the model in a commit.
//
// Trusts nothing that the repository or its server says. git runs with an environment and settings
// of its own, as the leader of a process group that never outlives a call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/result.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::cli {

// Signers of one release that are asked for at most.
inline constexpr uint32_t kUpstreamSignersMax = 16;

enum class VerifyMode : uint8_t {
  kNone,
  kHead,        // the commit is signed
  kTag,         // the tag is annotated and signed: it needs UpstreamConfig::tag_pattern
  kTagAndHead,  // both
};

struct UpstreamConfig {
  // https://host/path, ssh://user@host/path or user@host:path, without a password; and with
  // `allow_insecure` http://… or file:///….
  std::string repository;
  // Exactly one of the two: a branch, without "refs/heads/"; or a pattern of tags (Glob), without
  // "refs/tags/", of which the highest counts: see newest_tag() in upstream_refs.hpp.
  std::string branch;
  std::string tag_pattern;
  std::string path;  // folder of the model in the tree, without '/' at its ends; empty: all of it

  VerifyMode verify = VerifyMode::kNone;
  std::filesystem::path
      allowed_signers;  // ssh-keygen(1), ALLOWED SIGNERS; empty: no SSH signatures
  std::filesystem::path revoked_signers;  // a KRL or public keys, ssh-keygen(1); empty: none
  std::filesystem::path gpg_home;         // its public keys are the allowed ones; empty: no OpenPGP
  // Distinct signers of the same content at `path`: of the tag, of the commit, and of its
  // ancestors, without a commit between them that changed it. At most kUpstreamSignersMax.
  uint32_t signers_min = 1;

  // Files are read at each call. Passwords are for https, keys for ssh.
  std::string username;
  std::filesystem::path password_file;
  std::filesystem::path ssh_key, known_hosts;
  std::filesystem::path ca, certificate, certificate_key;  // empty `ca`: the system's authorities

  uint64_t disk_bytes_max = 1ULL << 30;  // of the repository here
  TimeMs deadline_ms = 120'000;          // for one call
  bool allow_insecure = false;           // http and file, for tests
};

struct UpstreamTip {
  std::string ref;         // full name: refs/heads/… or refs/tags/…
  std::string commit;      // hexadecimal
  std::string tag_object;  // of an annotated tag, else empty
  bool operator==(const UpstreamTip&) const = default;
};

class UpstreamRepository;

// One thread. Keeps a bare repository in "<folder>/upstream", which it locks: nothing in it needs a
// backup. Calls block, at most for UpstreamConfig::deadline_ms and some seconds. Errors of all
// calls: kTimeout; kUsage: git is not installed; kIo. Texts of git in errors have no control
// characters and no secrets.
class Upstream {
 public:
  // Makes the folder. `environment` is that of this process: PATH and the proxy's variables are
  // used. kConfig names the setting that cannot work; kConflict: another process uses the folder.
  static Result<Upstream> open(std::filesystem::path folder, UpstreamConfig config,
                               const Environment& environment);
  Upstream(Upstream&&) noexcept;
  Upstream& operator=(Upstream&&) noexcept;
  ~Upstream();

  // Asks the server. kNotFound: no such repository, branch or tag. kDenied: it refuses the
  // credentials. kTls: its certificate or host key is not the expected one. kUnavailable.
  Result<UpstreamTip> look();
  // Fetches the tip and its history; nothing when it is here. As look(), and kConflict: the ref
  // moved meanwhile, look again; kLimit names the budget; kInvalidModel: objects that git refuses.
  Result<void> fetch(const UpstreamTip& tip);

  // The rest is about fetched tips, without the server. kNotFound: it has not been fetched;
  // kCorrupt: what was fetched is damaged, and the next fetch() is of all.

  // Returns the signers for trust::Source::signer: printable, "a@b.c (SHA256:…)", with "; " between
  // several; empty with kNone. kSignature: unsigned, or not as `verify` and `signers_min` say;
  // kExpired, kRevoked: so is the key or the signature.
  Result<std::string> verify(const UpstreamTip& tip);
  // The commit is the tip's or one of its ancestors; false for one that is not known here.
  Result<bool> has_ancestor(const UpstreamTip& tip, const std::string& commit);
  // Both have the same folder at UpstreamConfig::path, or both have none; false when the old commit
  // is not known here.
  Result<bool> same_content(const std::string& old_commit, const UpstreamTip& tip);
  // The model at UpstreamConfig::path by the rules of read_model_folder(). kNotFound: no such
  // folder. kInvalidModel.
  Result<FolderContent> content(const UpstreamTip& tip);

 private:
  explicit Upstream(std::unique_ptr<UpstreamRepository> repository);

  std::unique_ptr<UpstreamRepository> repository_;
};

}  // namespace notp::cli
