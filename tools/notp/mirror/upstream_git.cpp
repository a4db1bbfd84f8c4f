#include "tools/notp/mirror/upstream_git.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/bytes.hpp"
#include "common/storage/private_files.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPasswordBytesMax = 4096;
constexpr size_t kErrorLineBytesMax = 4096, kShownBytesMax = 600;
// Less than one byte a second for so long ends a transfer (libcurl's LOW_SPEED options). A server
// that packs for long sends some bytes every few seconds.
constexpr int kLowSpeedBytes = 1, kLowSpeedSeconds = 60;
constexpr int kSshConnectSeconds = 20, kSshAliveSeconds = 15;
// Larger objects pass through git without being in memory as a whole.
constexpr std::string_view kBigFileThreshold = "16m";

// git runs it as `sh -c`. read and printf are part of the shell, so no process has the secret as an
// argument or in its environment.
constexpr std::string_view kCredentialHelper =
    "!f() { test \"$1\" = get || exit 0; IFS= read -r secret <\"$NOTP_PASSWORD_FILE\" || "
    "test -n \"$secret\" || exit 0; "
    "printf 'username=%s\\npassword=%s\\n' \"$NOTP_USERNAME\" \"$secret\"; }; f";

// Settings for one run of git. They outweigh the repository's own configuration.
class GitSettings {
 public:
  void add(std::string name, std::string value) {
    settings_.emplace_back(std::move(name), std::move(value));
  }
  void write(Environment& environment) const {
    environment["GIT_CONFIG_COUNT"] = fmt::format("{}", settings_.size());
    for (size_t i = 0; i < settings_.size(); ++i) {
      environment[fmt::format("GIT_CONFIG_KEY_{}", i)] = settings_[i].first;
      environment[fmt::format("GIT_CONFIG_VALUE_{}", i)] = settings_[i].second;
    }
  }

 private:
  std::vector<std::pair<std::string, std::string>> settings_;
};

// For every run. What only a user's, system's or repository's configuration could set is named too,
// where it names a program.
GitSettings common_settings(const UpstreamFolder& folder, const UpstreamConfig& config) {
  GitSettings settings;
  settings.add("core.hooksPath", "/dev/null");
  settings.add("core.fsmonitor", "false");
  settings.add("core.pager", "cat");
  settings.add("core.bigFileThreshold", std::string(kBigFileThreshold));
  settings.add("init.templateDir", folder.nothing().string());
  settings.add("init.defaultBranch", "main");
  settings.add("gc.auto", "0");
  settings.add("maintenance.auto", "false");
  settings.add("pack.threads", "1");
  settings.add("protocol.allow", "never");
  // Programs for signatures: those of the kinds that have signers.
  settings.add("gpg.program", config.gpg_home.empty() ? "/bin/false" : "gpg");
  settings.add("gpg.x509.program", "/bin/false");
  settings.add("gpg.ssh.program", config.allowed_signers.empty() ? "/bin/false" : "ssh-keygen");
  if (!config.allowed_signers.empty())
    settings.add("gpg.ssh.allowedSignersFile", folder.allowed_signers().string());
  if (!config.revoked_signers.empty())
    settings.add("gpg.ssh.revocationFile", folder.revoked_signers().string());
  return settings;
}

Environment base_environment(const UpstreamFolder& folder, const Environment& outer) {
  Environment environment = git_environment({});
  const auto path = outer.find("PATH");
  environment["PATH"] = path == outer.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second;
  environment["HOME"] = folder.home().string();
  environment["TMPDIR"] = folder.scratch().string();
  environment["GNUPGHOME"] = folder.keys().string();
  environment["GIT_DIR"] = folder.repository().string();
  environment["GIT_CONFIG_NOSYSTEM"] = "1";
  environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
  environment["GIT_ATTR_NOSYSTEM"] = "1";
  return environment;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [text](std::string_view word) { return text.contains(word); });
}

}  // namespace

UpstreamGit::UpstreamGit(UpstreamFolder folder, UpstreamConfig config, const Environment& outer)
    : folder_(std::move(folder)), config_(std::move(config)), outer_(outer) {
  if (auto address = parse_repository(config_.repository, config_.allow_insecure))
    address_ = *std::move(address);
}

Environment UpstreamGit::local_environment() const {
  Environment environment = base_environment(folder_, outer_);
  common_settings(folder_, config_).write(environment);
  return environment;
}

std::string UpstreamGit::ssh_command() const {
  std::string command = "ssh -F /dev/null -T";
  const auto option = [&command](std::string_view name, std::string_view value) {
    command += fmt::format(" -o {}={}", name, value);
  };
  option("BatchMode", "yes");
  option("StrictHostKeyChecking", "yes");
  option("UserKnownHostsFile", config_.known_hosts.string());
  option("GlobalKnownHostsFile", "/dev/null");
  option("UpdateHostKeys", "no");
  option("VerifyHostKeyDNS", "no");
  option("IdentitiesOnly", "yes");
  option("IdentityAgent", "none");
  option("IdentityFile", config_.ssh_key.string());
  option("PreferredAuthentications", "publickey");
  option("ForwardAgent", "no");
  option("ForwardX11", "no");
  option("ClearAllForwardings", "yes");
  option("PermitLocalCommand", "no");
  option("ControlMaster", "no");
  option("ControlPath", "none");
  option("LogLevel", "ERROR");
  option("ConnectTimeout", fmt::format("{}", kSshConnectSeconds));
  option("ServerAliveInterval", fmt::format("{}", kSshAliveSeconds));
  return command;
}

Environment UpstreamGit::remote_environment() const {
  Environment environment = base_environment(folder_, outer_);
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"})
    if (const auto found = outer_.find(name); found != outer_.end()) environment.insert(*found);
  GitSettings settings = common_settings(folder_, config_);
  settings.add("protocol.https.allow", "always");
  settings.add("protocol.ssh.allow", "always");
  if (config_.allow_insecure) {
    settings.add("protocol.http.allow", "always");
    settings.add("protocol.file.allow", "always");
  }
  settings.add("transfer.fsckObjects", "true");
  settings.add("fetch.fsckObjects", "true");
  settings.add("fetch.unpackLimit", "1");  // one pack for each fetch, never single objects
  settings.add("fetch.recurseSubmodules", "false");
  settings.add("submodule.recurse", "false");
  settings.add("core.askPass", "");
  settings.add("http.followRedirects", "false");
  settings.add("http.sslVerify", "true");
  settings.add("http.sslVersion", "tlsv1.2");  // and later
  settings.add("http.lowSpeedLimit", fmt::format("{}", kLowSpeedBytes));
  settings.add("http.lowSpeedTime", fmt::format("{}", kLowSpeedSeconds));
  settings.add("http.saveCookies", "false");
  if (!config_.ca.empty()) {
    settings.add("http.sslCAInfo", config_.ca.string());
    settings.add("http.sslCAPath", folder_.nothing().string());  // else the system's count as well
  }
  if (!config_.certificate.empty()) {
    settings.add("http.sslCert", config_.certificate.string());
    settings.add("http.sslKey", config_.certificate_key.string());
  }
  settings.add("credential.helper", "");
  if (!config_.password_file.empty()) {
    // For this server only: a proxy may ask for credentials as well.
    settings.add(fmt::format("credential.{}://{}.helper",
                             address_.scheme == UpstreamScheme::kHttp ? "http" : "https",
                             address_.authority),
                 std::string(kCredentialHelper));
    environment["NOTP_PASSWORD_FILE"] = config_.password_file.string();
    environment["NOTP_USERNAME"] = config_.username;
  }
  if (address_.scheme == UpstreamScheme::kSsh) {
    settings.add("core.sshCommand", ssh_command());
    settings.add("ssh.variant", "ssh");
  }
  settings.write(environment);
  return environment;
}

Result<GitAnswer> UpstreamGit::ask(std::vector<std::string> words, TimeMs deadline_ms,
                                   size_t output_bytes_max) const {
  return ask_git({.folder = folder_.top,
                  .words = std::move(words),
                  .environment = local_environment(),
                  .deadline_ms = deadline_ms,
                  .output_bytes_max = output_bytes_max,
                  .file_bytes_max = config_.disk_bytes_max,
                  .memory_bytes_max = kUpstreamMemoryMax,
                  .watch = {}});
}

Result<Bytes> UpstreamGit::ask_server(std::vector<std::string> words, TimeMs deadline_ms,
                                      size_t output_bytes_max) const {
  std::vector<std::string> secrets;
  if (!config_.password_file.empty()) {
    NOTP_ASSIGN(std::string password, read_password(config_.password_file));
    secrets.push_back(to_base64(config_.username + ":" + password));
    secrets.push_back(std::move(password));
  }
  const auto watch = [this]() -> Result<void> {
    if (disk_bytes() <= config_.disk_bytes_max) return {};
    return std::unexpected(over_budget());
  };
  auto answer = ask_git({.folder = folder_.top,
                         .words = std::move(words),
                         .environment = remote_environment(),
                         .deadline_ms = deadline_ms,
                         .output_bytes_max = output_bytes_max,
                         .file_bytes_max = config_.disk_bytes_max,
                         .memory_bytes_max = kUpstreamMemoryMax,
                         .watch = watch});
  if (!answer && answer.error().code == ErrorCode::kTimeout)
    return fail(ErrorCode::kTimeout, fmt::format("{} has not answered completely within {} s",
                                                 config_.repository, config_.deadline_ms / 1000));
  if (!answer) return std::unexpected(std::move(answer).error());
  if (answer->status == 0) return std::move(answer->output);
  const std::string shown = shown_error(answer->error, secrets);
  // A file that would exceed RLIMIT_FSIZE ends its writer, which git does not report as such.
  if (disk_bytes() >= config_.disk_bytes_max) return std::unexpected(over_budget());
  std::string facts = shown;
  replace_all(facts, config_.repository, {});
  return fail(code_of_server_error(facts),
              fmt::format("git cannot read {}: {}", config_.repository,
                          shown.empty() ? fmt::format("it exits with {}", answer->status)
                                        : printable(shown, kShownBytesMax)));
}

uint64_t UpstreamGit::disk_bytes() const {
  uint64_t bytes = 0;
  std::error_code error;
  // Files come and go meanwhile.
  for (fs::recursive_directory_iterator at(folder_.repository(), error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    const uint64_t size = at->is_regular_file(gone) ? at->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

Error UpstreamGit::over_budget() const {
  return Error{ErrorCode::kLimit,
               fmt::format("the history of {} needs more than the {} bytes of disk_bytes_max",
                           config_.repository, config_.disk_bytes_max),
               {}};
}

Result<std::string> read_password(const fs::path& file) {
  NOTP_ASSIGN(std::string text, read_private_file(file, kPasswordBytesMax));
  if (text.ends_with('\n')) text.pop_back();
  if (text.empty() ||
      std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
    return fail(ErrorCode::kConfig,
                fmt::format("{} does not hold one line with a password", file.string()));
  return text;
}

std::string shown_error(std::string_view text, const std::vector<std::string>& secrets) {
  std::string whole(text);
  for (const std::string& secret : secrets) replace_all(whole, secret, "***");
  std::string line;
  for (std::string_view rest = whole; !rest.empty();) {
    const size_t end = rest.find_first_of("\r\n");
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (part.find_first_not_of('@') == part.npos ||
        part.starts_with("Please make sure you have the correct access rights") ||
        part.starts_with("and the repository exists"))
      continue;
    line += fmt::format("{}{}", line.empty() ? "" : "; ", part);
  }
  return printable(line, kErrorLineBytesMax);
}

ErrorCode code_of_server_error(std::string_view shown) {
  if (has_any(shown, {"fsck error", "fsck_error"})) return ErrorCode::kInvalidModel;
  if (has_any(shown, {"Host key verification failed", "certificate", "SSL", "TLS", "gnutls"}))
    return ErrorCode::kTls;
  if (has_any(shown, {"Authentication failed", "terminal prompts disabled", "Permission denied",
                      "returned error: 401", "returned error: 403"}))
    return ErrorCode::kDenied;
  if (has_any(shown, {"not found", "does not appear to be a git repository", "returned error: 404",
                      "couldn't find remote ref", "does not exist"}))
    return ErrorCode::kNotFound;
  return ErrorCode::kUnavailable;
}

}  // namespace notp::cli
