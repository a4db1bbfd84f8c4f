// How git runs for an upstream repository: its environment, settings, limits and errors.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/git/git_program.hpp"
#include "tools/notp/mirror/upstream_config.hpp"

namespace notp::cli {

// A process of git, without mapped files. A hostile object can claim any size.
inline constexpr uint64_t kUpstreamMemoryMax = 2ULL << 30;

// The folder of one upstream, and what is in it.
struct UpstreamFolder {
  std::filesystem::path top;

  std::filesystem::path repository() const { return top / "repository.git"; }
  std::filesystem::path home() const { return top / "home"; }
  std::filesystem::path scratch() const { return top / "tmp"; }
  // Copies of the signers' keys, for gpg also its home.
  std::filesystem::path keys() const { return top / "keys"; }
  std::filesystem::path allowed_signers() const { return keys() / "allowed_signers"; }
  std::filesystem::path revoked_signers() const { return keys() / "revoked_signers"; }
  std::filesystem::path nothing() const { return top / "empty"; }
};

// Runs git on the repository of one folder. Nothing of the outer environment reaches git but PATH
// and, for servers, the proxy's variables. Settings travel in variables (git-config(1),
// GIT_CONFIG_COUNT), and files with secrets as paths. One thread.
class UpstreamGit {
 public:
  // `config` passes check_upstream(), and its paths are absolute.
  UpstreamGit(UpstreamFolder folder, UpstreamConfig config, const Environment& outer);

  const UpstreamFolder& folder() const { return folder_; }
  const UpstreamConfig& config() const { return config_; }
  const UpstreamAddress& address() const { return address_; }

  // For git on the repository alone: every protocol is forbidden.
  Environment local_environment() const;

  // Runs git on the repository alone. kTimeout, kLimit, kUsage, as ask_git().
  Result<GitAnswer> ask(std::vector<std::string> words, TimeMs deadline_ms,
                        size_t output_bytes_max) const;
  // Runs git with the repository's server. Fails unless git exits with 0: kDenied, kTls, kNotFound,
  // kInvalidModel, kUnavailable; and kLimit when the folder exceeds the disk budget.
  Result<Bytes> ask_server(std::vector<std::string> words, TimeMs deadline_ms,
                           size_t output_bytes_max) const;

  // Bytes of all files of the repository.
  uint64_t disk_bytes() const;
  Error over_budget() const;

 private:
  Environment remote_environment() const;
  std::string ssh_command() const;

  UpstreamFolder folder_;
  UpstreamConfig config_;
  UpstreamAddress address_;
  Environment outer_;
};

// The secret in the file: its text without the newline at its end. kConfig: not one line of
// printable text, or as read_private_file().
Result<std::string> read_password(const std::filesystem::path& file);

// What git has written to standard error, as one line for people, with `secrets` cut out.
std::string shown_error(std::string_view text, const std::vector<std::string>& secrets);

// The error of a run of git with a server that did not exit with 0. `shown` as of shown_error(),
// without the repository's address.
ErrorCode code_of_server_error(std::string_view shown);

}  // namespace notp::cli
