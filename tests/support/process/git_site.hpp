// A site that hosts Git repositories, and people who push to them, for tests of what reads them.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process/git.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// A signing key of ssh-keygen: `private_file`, and beside it the public one.
struct SshKey {
  std::filesystem::path private_file;
  std::string public_key;  // "ssh-ed25519 AAAA…"

  static SshKey make(const std::filesystem::path& file) {
    const auto made =
        run_command({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file.string()});
    REQUIRE_MESSAGE(made.status == 0, made.output);
    std::string text = read_text(file.string() + ".pub");
    while (text.ends_with('\n') || text.ends_with(' ')) text.pop_back();
    return {file, text};
  }
  // A line of an allowed-signers file.
  std::string allowed_as(const std::string& principal, const std::string& options = "") const {
    return fmt::format("{} {}{}{}\n", principal, options, options.empty() ? "" : " ", public_key);
  }
};

// A bare repository of a site, and a working tree that pushes to it.
class GitUpstream {
 public:
  GitUpstream(std::filesystem::path bare, std::filesystem::path work,
              const std::string& object_format = "sha1")
      : bare_(std::move(bare)), work_(std::move(work)) {
    std::filesystem::create_directories(bare_);
    std::filesystem::create_directories(work_);
    git(bare_, {"init", "-q", "--bare", "-b", "main", "--object-format=" + object_format});
    git(work_, {"init", "-q", "-b", "main", "--object-format=" + object_format});
    git(work_, {"remote", "add", "origin", bare_.string()});
  }

  const std::filesystem::path& bare() const { return bare_; }
  const std::filesystem::path& work() const { return work_; }
  std::string run(std::vector<std::string> arguments) { return git(work_, std::move(arguments)); }

  GitUpstream& write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((work_ / path).parent_path());
    must(write_file(work_ / path, text));
    return *this;
  }
  GitUpstream& remove(const std::string& path) {
    std::filesystem::remove_all(work_ / path);
    return *this;
  }
  // Commits all that is in the working tree, also nothing, signed if a key is given. Returns the
  // commit's id.
  std::string commit(const std::string& message, const SshKey* key = nullptr) {
    run({"add", "-A"});
    std::vector<std::string> words = signing(key);
    words.insert(words.end(), {"commit", "-q", "--allow-empty", "-m", message});
    if (key != nullptr) words.emplace_back("-S");
    run(std::move(words));
    return head();
  }
  // Makes or moves an annotated tag. Returns the tag object's id.
  std::string tag(const std::string& name, const SshKey* key = nullptr,
                  const std::string& target = "HEAD") {
    std::vector<std::string> words = signing(key);
    words.insert(words.end(),
                 {"tag", "-f", key != nullptr ? "-s" : "-a", "-m", name, name, target});
    run(std::move(words));
    return run({"rev-parse", "refs/tags/" + name});
  }
  // Pushes the current branch and all tags, also over other history.
  void push() { run({"push", "-q", "--force", "--tags", "origin", "HEAD"}); }
  // write(), commit(), push().
  std::string pushed(const std::string& path, const std::string& text,
                     const SshKey* key = nullptr) {
    write(path, text);
    const std::string id = commit("change " + path, key);
    push();
    return id;
  }
  std::string head() { return run({"rev-parse", "HEAD"}); }

 private:
  static std::vector<std::string> signing(const SshKey* key) {
    if (key == nullptr) return {};
    return {"-c", "gpg.format=ssh", "-c", "user.signingkey=" + key->private_file.string()};
  }

  const std::filesystem::path bare_, work_;
};

// tests/support/git_server.py over TLS, with a user and a password for its /private/ part.
class GitSite {
 public:
  static constexpr std::string_view kUser = "mirror", kPassword = "pa$$ 'w\"ord-of-the-site";

  GitSite() {
    auto leaf = pki_.leaf("registry", "git");
    leaf.addresses = {"127.0.0.1"};
    certificate_ = pki_.issue(leaf);
    std::filesystem::create_directories(repositories());
    must(write_file(file("credentials"), fmt::format("{}:{}", kUser, kPassword)));
    must(write_file(password_file(), fmt::format("{}\n", kPassword), 0600));
    https_ = start({"--certificate", certificate_.certificate.string(), "--key",
                    certificate_.private_key.string(), "--client-ca", authorities().string()},
                   "https", https_port_);
    http_ = start({}, "http", http_port_);
  }

  // A new repository NAME.git with its working tree.
  GitUpstream make(const std::string& name, const std::string& object_format = "sha1") {
    return GitUpstream(repositories() / (name + ".git"), file("work-" + name), object_format);
  }
  // `how` as in git_server.py: "git", "private", "mutual", "dumb", "redirect", "hang", "stall".
  std::string url(const std::string& name, const std::string& how = "git") const {
    return fmt::format("https://127.0.0.1:{}/{}/{}.git", https_port_, how, name);
  }
  std::string plain_url(const std::string& name, const std::string& how = "git") const {
    return fmt::format("http://127.0.0.1:{}/{}/{}.git", http_port_, how, name);
  }
  std::filesystem::path authorities() const { return pki_.authorities(); }
  std::filesystem::path password_file() const { return file("password"); }
  // A client certificate that /mutual/ accepts.
  transport::TlsFiles client() { return pki_.node("mirror"); }

  // Lines "METHOD path" of all requests so far.
  std::string requests() const {
    return read_text(file("https.log")) + read_text(file("http.log"));
  }
  std::filesystem::path repositories() const { return file("repositories"); }
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }

 private:
  std::unique_ptr<Process> start(const std::vector<std::string>& more, const std::string& name,
                                 std::string& port) {
    const char* source = std::getenv("NOTP_SOURCE");
    REQUIRE(source != nullptr);
    const auto port_file = file(name + ".port");
    std::vector<std::string> command = {
        "python3",       fmt::format("{}/tests/support/git_server.py", source),
        "--folder",      repositories(),
        "--port-file",   port_file,
        "--log",         file(name + ".log"),
        "--credentials", file("credentials")};
    command.insert(command.end(), more.begin(), more.end());
    auto process = std::make_unique<Process>(ProcessOptions{.command = std::move(command),
                                                            .folder = folder_.path(),
                                                            .environment = {},
                                                            .output_file = file(name + ".out"),
                                                            .error_file = file(name + ".out")});
    const bool is_ready =
        wait_until([&] { return std::filesystem::exists(port_file) || !process->is_running(); });
    REQUIRE_MESSAGE((is_ready && process->is_running()), process->error());
    port = read_text(port_file);
    return process;
  }

  TemporaryFolder folder_;
  TestPki pki_;
  transport::TlsFiles certificate_;
  std::string https_port_, http_port_;
  std::unique_ptr<Process> https_, http_;
};

}  // namespace notp
