// A registry, a site of Git repositories, and `notp mirror` between the two.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process/curl.hpp"
#include "tests/support/process/git_site.hpp"
#include "tests/support/process/log_catalogue.hpp"
#include "tests/support/process/stack.hpp"

namespace notp {

inline const std::string kMirrored = "100000000000/shop";
inline constexpr const char* kHookSecret = "the-secret-of-the-webhook";

inline std::string hmac_hex(const std::string& body, const std::string& secret = kHookSecret) {
  std::array<unsigned char, 32> out{};
  unsigned length = 0;
  ::HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(body.data()), body.size(), out.data(), &length);
  return to_hex({reinterpret_cast<const char*>(out.data()), out.size()});
}

class MirrorSite {
 public:
  Stack stack;
  GitSite git;
  const SshKey ana = SshKey::make(stack.file("ana")), ben = SshKey::make(stack.file("ben"));
  GitUpstream upstream = git.make("policies");

  MirrorSite() {
    stack.issue("publisher", "mirror");
    must(write_file(stack.file("signers"), ana.allowed_as("ana@core.internal")));
    must(write_file(stack.file("hook-secret"), kHookSecret, 0600));
    write_shop("shop", R"(["u-1"])");
    upstream.commit("first", &ana);
    upstream.push();
  }

  // A model with one rule and one list, in a folder of the repository.
  void write_shop(const std::string& folder, const std::string& users,
                  const std::string& root = "shop") {
    upstream.write(folder + "/manifest.json", fmt::format(R"({{
      "metadata": {{"name": "{0}"}},
      "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1.0"}}}}}},
      "partitions": {{"/": {{"runtime": "rego"}}}},
      "roots": ["{0}"]}})",
                                                          root));
    upstream.write(fmt::format("{}/{}/policy.rego", folder, root),
                   fmt::format("package {0}\n\ndefault allow := false\n\n"
                               "allow if input.user in data.{0}.users\n",
                               root));
    set_users(folder, users, root);
  }
  void set_users(const std::string& folder, const std::string& users,
                 const std::string& root = "shop") {
    upstream.write(fmt::format("{}/{}/data.json", folder, root),
                   fmt::format(R"({{"users": {}}})", users));
  }
  // Commits and pushes another list of users; returns the commit.
  std::string push_users(const std::string& users, const SshKey* key) {
    set_users("shop", users);
    const std::string id = upstream.commit("users " + users, key);
    upstream.push();
    return id;
  }

  // A mirror of the branch, signed by ana, into kMirrored; `more` replaces what it names.
  json::object mirror(json::object more = {}) const {
    json::object out{{"name", "shop"},
                     {"ledger", kMirrored},
                     {"repository", git.url("policies")},
                     {"path", "shop"},
                     {"verify", "head"},
                     {"allowed_signers", "signers"},
                     {"ca", git.authorities().string()},
                     {"interval_s", 5}};
    if (!more.contains("tags")) out["branch"] = "main";
    for (const auto& [name, value] : more)
      if (value.is_null())
        out.erase(name);
      else
        out[name] = value;
    return out;
  }
  void configure(const json::array& mirrors, json::object more = {}) const {
    json::object out{
        {"registry", stack.registry_address()},
        {"root", stack.root_file().string()},
        {"tls", json::object{{"certificate", "pki/mirror.crt"},
                             {"key", "pki/mirror.key"},
                             {"ca", stack.authority_file().string()}}},
        {"signing_key", "publisher.key"},
        {"state_dir", "mirror-state"},
        {"health_listen", "127.0.0.1:0"},
        {"port_file", "mirror-ports"},
        {"webhook", json::object{{"listen", "127.0.0.1:0"}, {"secret_file", "hook-secret"}}},
        {"mirrors", mirrors}};
    for (const auto& [name, value] : more)
      if (value.is_null())
        out.erase(name);
      else
        out[name] = value;
    must(write_file(config_file(), json::serialize(out)));
  }
  std::filesystem::path config_file() const { return stack.file("mirror.json"); }

  // Its result is a document whatever the status is.
  CliResult mirror_command(std::vector<std::string> words) {
    words.insert(words.begin(), "mirror");
    words.insert(words.end(), {"--config", config_file()});
    CliResult result = stack.notp("alice", std::move(words));
    if (auto printed = parse_json(result.output); printed && printed->is_object())
      result.document = *std::move(printed);
    return result;
  }
  CliResult once(const std::string& name = "shop") { return mirror_command({"once", name}); }
  // Runs a pass that ends at a failpoint; returns its status.
  int once_until(const std::string& failpoint) {
    Process pass(ProcessOptions{
        .command = {stack.program("notp"), "mirror", "once", "--config", config_file()},
        .folder = stack.folder(),
        .environment = {{"NOTP_FAILPOINT", failpoint}},
        .output_file = stack.file("pass.out"),
        .error_file = stack.file("pass.err")});
    return pass.wait().value_or(-1);
  }

  void start() {
    std::filesystem::remove(stack.file("mirror-ports"));
    daemon_ = std::make_unique<Process>(ProcessOptions{
        .command = {stack.program("notp"), "mirror", "run", "--config", config_file()},
        .folder = stack.folder(),
        .environment = {},
        .output_file = stack.file("mirror.out"),
        .error_file = stack.file("mirror.log")});
    const bool is_ready = wait_until([&] {
      return std::filesystem::exists(stack.file("mirror-ports")) || !daemon_->is_running();
    });
    REQUIRE_MESSAGE((is_ready && daemon_->is_running()), daemon_->error());
    const json::value ports = must(parse_json(read_text(stack.file("mirror-ports"))));
    health_ = text_at(ports, "health");
    webhook_ = text_at(ports, "webhook");
  }
  Process& daemon() { return *daemon_; }
  // Its status. What it has logged and the catalogue of events does not know fails the test.
  int stop() {
    daemon_->signal(SIGTERM);
    const int status = daemon_->wait().value_or(-1);
    for (const std::string& fault : LogCatalogue::of_sources().faults(log_file(), "notp"))
      FAIL_CHECK(fault);
    return status;
  }
  std::filesystem::path log_file() const { return stack.file("mirror.log"); }
  json::value health() const { return curl({"http://" + health_ + "/health"}).document(); }
  std::string metrics() const { return curl({"http://" + health_ + "/metrics"}).body; }
  // The state of a mirror, by the daemon's health.
  std::string state(const std::string& name = "shop") const { return fact(name, "state"); }
  std::string fact(const std::string& name, const std::string& key) const {
    const json::value document = health();
    const json::object* object = document.if_object();
    if (object == nullptr) return {};
    for (const json::value& row : object->at("mirrors").as_array())
      if (text_at(row, "name") == name) return text_at(row, key);
    return {};
  }
  // Posts a webhook with these headers.
  CurlAnswer hook(const std::string& path, const std::string& body,
                  const std::vector<std::string>& headers) const {
    const TemporaryFolder folder;
    must(write_file(folder.path() / "body", body));
    std::vector<std::string> words{"--data-binary",
                                   fmt::format("@{}", (folder.path() / "body").string()),
                                   fmt::format("http://{}{}", webhook_, path)};
    for (const std::string& header : headers) words.insert(words.end(), {"-H", header});
    return curl(words);
  }
  CurlAnswer good_hook(const std::string& path = "/hook") const {
    const std::string body = R"({"ref": "refs/heads/main"})";
    return hook(path, body, {"X-Hub-Signature-256: sha256=" + hmac_hex(body)});
  }

  int64_t head_version(const std::string& ledger = kMirrored) {
    const CliResult shown = stack.notp("alice", {"history", ledger});
    if (shown.status != 0) return 0;
    return static_cast<int64_t>(
        shown.document.at("releases").as_array().at(0).at("version").to_number<int64_t>());
  }
  json::array pending() {
    return stack.notp("alice", {"pending"}).document.at("pending").as_array();
  }

 private:
  std::unique_ptr<Process> daemon_;
  std::string health_, webhook_;
};

}  // namespace notp
