// `notp setup` from a script, repeatedly, with a site's own authority, and in folders where it must
// not write.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <map>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

struct Site {
  Shell shell;
  const fs::path folder = shell.path("domain");

  Ran setup(Words more, const std::string& format = "json") {
    Words words{"-o", format, "setup", "--dir", folder};
    words.insert(words.end(), more.begin(), more.end());
    return shell.notp(words);
  }
  // The minimum for a new setup.
  Ran make(Words more = {}, const std::string& format = "json") {
    more.insert(more.begin(),
                {"--trust-domain", "core-platform.internal", "--address", "registry.example.org"});
    return setup(std::move(more), format);
  }
  json::value made(Words more = {}) {
    const Ran ran = make(std::move(more));
    REQUIRE_MESSAGE(ran.status == 0, ran.error);
    return parsed(ran.output);
  }
  fs::path file(std::string_view name) const { return folder / name; }
  // Every file with its content.
  std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) out[entry.path()] = read_text(entry.path());
    return out;
  }
  CommandResult check_server() const {
    return run_command({fs::path(std::getenv("NOTP_BIN")) / "notp-server", "--check", "--config",
                        file("registry/registry.yaml")});
  }
};

unsigned mode_of(const fs::path& file) {
  struct stat found{};
  REQUIRE_MESSAGE(::lstat(file.c_str(), &found) == 0, file.string());
  return found.st_mode & 07777;
}

TEST_CASE("without a terminal what has no default is asked for by name, and nothing is written") {
  Site site;
  const Ran no_domain = site.setup({});
  CHECK(no_domain.status == 2);
  CHECK_MESSAGE(no_domain.error.contains("--trust-domain"), no_domain.error);
  const Ran no_address = site.setup({"--trust-domain", "core-platform.internal"});
  CHECK(no_address.status == 2);
  CHECK_MESSAGE(no_address.error.contains("--address"), no_address.error);
  const Ran wildcard =
      site.setup({"--trust-domain", "core-platform.internal", "--address", "0.0.0.0"});
  CHECK(wildcard.status == 2);
  CHECK_MESSAGE(wildcard.error.contains("--listen"), wildcard.error);
  CHECK_FALSE(fs::exists(site.folder));
}

TEST_CASE("at a terminal it asks, shows what it is going to make, and takes no for an answer") {
  for (const std::string agreed : {"n", "y"}) {
    Site site;
    const fs::path answers = site.shell.path("answers");
    // Trust domain and host; the defaults for ledger, publisher, node and authority.
    must(write_file(answers,
                    "core-platform.internal\nregistry.example.org\n\n\n\n\n" + agreed + "\n"));
    // script(1) gives the command a terminal.
    const CommandResult ran = run_command(
        {"script", "--quiet", "--return", "--command",
         fmt::format("'{}/notp' setup --dir '{}'", std::getenv("NOTP_BIN"), site.folder.string()),
         "/dev/null"},
        {{"HOME", site.shell.path("home")}}, answers);
    CHECK_MESSAGE(ran.output.contains("nodes join at"), ran.output);
    CHECK_MESSAGE(ran.output.contains("registry.example.org:7444"), ran.output);
    CHECK_MESSAGE((ran.status == 0) == (agreed == "y"), ran.output);
    CHECK(fs::exists(site.file("root.envelope")) == (agreed == "y"));
    if (agreed == "n") CHECK_FALSE(fs::exists(site.folder));
  }
}

TEST_CASE("private files are for their owner alone, and what is to be kept offline is named") {
  Site site;
  const json::value document = site.made();
  for (const char* name : {"offline/root.key", "offline/ca.key", "publisher/signing.key",
                           "publisher/publisher.key", "admin/admin.key", "registry/registry.key",
                           "registry/freshness.key", "registry/node-ca.key", "tokens/edge-1.token"})
    CHECK_MESSAGE(mode_of(site.file(name)) == 0600, name);
  for (const char* name :
       {"", "offline", "registry", "registry/data", "publisher", "admin", "models", "tokens"})
    CHECK_MESSAGE(mode_of(site.file(name)) == 0700, name);
  // No other file holds a private key.
  for (const auto& [name, text] : site.content())
    if (text.contains("PRIVATE KEY")) CHECK_MESSAGE(mode_of(name) == 0600, name);

  CHECK(at(document, "keep_offline") ==
        json::value(json::array{site.file("offline/root.key").string(),
                                site.file("offline/ca.key").string()}));
  const Ran text = site.make({}, "text");
  REQUIRE_MESSAGE(text.status == 0, text.error);
  CHECK_MESSAGE(text.output.contains("Keep offline"), text.output);
  CHECK_MESSAGE(text.output.contains(site.file("offline/root.key").string()), text.output);
  CHECK_MESSAGE(text.error.contains("development authority"), text.error);
}

TEST_CASE("a second run changes nothing and says the same") {
  Site site;
  const json::value first = site.made();
  const auto before = site.content();
  const Ran again = site.setup({});
  REQUIRE_MESSAGE(again.status == 0, again.error);
  CHECK(site.content() == before);
  const json::value second = parsed(again.output);
  CHECK(text_at(second, "token") == text_at(first, "token"));
  CHECK(at(second, "next") == at(first, "next"));
  for (const json::value& file : at(first, "files").as_array())
    CHECK(at(file, "made") == json::value(true));
  for (const json::value& file : at(second, "files").as_array())
    CHECK_MESSAGE(at(file, "made") == json::value(false), json::serialize(file));
}

TEST_CASE("a file that is missing is made again, but for what needs a key that is offline") {
  Site site;
  site.made();
  const auto before = site.content();
  fs::rename(site.file("offline"), site.shell.path("offline"));
  fs::remove(site.file("registry/registry.yaml"));
  const Ran again = site.setup({});
  REQUIRE_MESSAGE(again.status == 0, again.error);
  CHECK(read_text(site.file("registry/registry.yaml")) ==
        before.at(site.file("registry/registry.yaml")));

  fs::remove(site.file("admin/admin.crt"));
  const Ran needs = site.setup({});
  CHECK(needs.status != 0);
  CHECK_MESSAGE(needs.error.contains("bring it back"), needs.error);
  CHECK_FALSE(fs::exists(site.file("offline")));
  fs::rename(site.shell.path("offline"), site.file("offline"));
  CHECK(site.setup({}).status == 0);

  // A signing key cannot be replaced: the root names it.
  fs::remove(site.file("publisher/signing.key"));
  const Ran lost = site.setup({});
  CHECK(lost.status != 0);
  CHECK_MESSAGE(lost.error.contains("signing.key"), lost.error);
  CHECK_FALSE(fs::exists(site.file("publisher/signing.key")));
}

TEST_CASE("folders that were taken to where they belong are not missed") {
  Site site;
  site.made();
  for (const char* name : {"offline", "publisher", "admin", "models"})
    fs::rename(site.file(name), site.shell.path(name));
  const Ran again = site.setup({"--node", "edge-2"});
  REQUIRE_MESSAGE(again.status == 0, again.error);
  CHECK(text_at(parsed(again.output), "token").starts_with("notp-join-1."));
  for (const char* name : {"offline", "publisher", "admin", "models"})
    CHECK_FALSE_MESSAGE(fs::exists(site.file(name)), name);
  const CommandResult checked = site.check_server();
  CHECK_MESSAGE(checked.status == 0, checked.output);
}

TEST_CASE("another node gets a token of its own, and the rest stays") {
  Site site;
  const json::value first = site.made();
  auto before = site.content();
  const Ran other = site.setup({"--node", "edge-2"});
  REQUIRE_MESSAGE(other.status == 0, other.error);
  const json::value document = parsed(other.output);
  CHECK(text_at(document, "node") == "edge-2");
  CHECK(text_at(document, "token") != text_at(first, "token"));
  CHECK(read_text(site.file("tokens/edge-2.token")) == text_at(document, "token") + "\n");
  for (const auto& [name, text] : site.content()) {
    const bool may_differ = name.contains("tokens") || name.ends_with("setup.json");
    if (!may_differ) CHECK_MESSAGE(before[name] == text, name);
  }
  CHECK(read_text(site.file("tokens/edge-1.token")) == text_at(first, "token") + "\n");
}

TEST_CASE("a flag that contradicts what is set up is a conflict that names both") {
  Site site;
  site.made();
  const auto before = site.content();
  const std::vector<Words> contradictions{{"--trust-domain", "other.internal"},
                                          {"--address", "other.example.org"},
                                          {"--listen", "127.0.0.1"},
                                          {"--zone", "100000000002"},
                                          {"--ledger", "other"},
                                          {"--publisher", "other"},
                                          {"--admin", "other"},
                                          {"--registry-name", "other"},
                                          {"--port", "7000"},
                                          {"--enroll-port", "7001"},
                                          {"--health-port", "7002"},
                                          {"--own-ca"}};
  for (const Words& words : contradictions) {
    const Ran ran = site.setup(words);
    CHECK_MESSAGE(ran.status == 4, words.front() << ran.output);
    CHECK_MESSAGE(error_code(ran) == "conflict", ran.error);
    CHECK_MESSAGE(ran.error.contains(words.front()), ran.error);
  }
  CHECK(site.content() == before);
  // A repetition is not a conflict.
  const Ran same = site.make({"--port", "7443", "--ledger", "100000000001/access"});
  CHECK_MESSAGE(same.status == 0, same.error);
}

TEST_CASE("a folder with other things in it is left as it is") {
  Site site;
  REQUIRE(make_folders(site.folder));
  must(write_file(site.file("thesis.txt"), "three years"));
  const Ran ran = site.make();
  CHECK(ran.status == 2);
  CHECK_MESSAGE(ran.error.contains("not empty"), ran.error);
  CHECK(site.content().size() == 1);
  // A file of that name that setup did not write does not count either.
  must(write_file(site.file("setup.json"), "not json"));
  CHECK(site.make().status == 2);
  CHECK(site.content().size() == 2);
}

// A site's authority: it reads requests, and decides what it certifies.
class OwnAuthority {
 public:
  explicit OwnAuthority(Shell& shell) : shell_(shell), folder_(shell.path("authority")) {
    must(make_folders(folder_));
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", folder_ / "ca.key", "-out", certificate(), "-days", "30", "-subj",
             "/CN=Site Root", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
             "keyUsage=critical,keyCertSign,cRLSign"});
  }
  fs::path certificate() const { return folder_ / "ca.crt"; }
  // Issues the certificates that `notp setup -o json` asks for.
  void answer(const json::value& wanted) {
    const bool is_ca = at(wanted, "is_ca") == json::value(true);
    std::string extensions =
        "basicConstraints=critical,CA:TRUE,pathlen:0\n"
        "keyUsage=critical,keyCertSign,cRLSign\n";
    if (!is_ca)
      extensions = fmt::format(
          "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
          "extendedKeyUsage={}\nsubjectAltName=URI:{}\n",
          text_at(wanted, "identity").contains("/registry/") ? "serverAuth" : "clientAuth",
          text_at(wanted, "identity"));
    must(write_file(folder_ / "extensions", extensions));
    openssl({"x509", "-req", "-in", text_at(wanted, "request"), "-CA", certificate(), "-CAkey",
             folder_ / "ca.key", "-CAcreateserial", "-days", "20", "-extfile",
             folder_ / "extensions", "-out", text_at(wanted, "certificate")});
  }

 private:
  void openssl(Words words) {
    words.insert(words.begin(), "openssl");
    const Ran ran = shell_.run(words);
    REQUIRE_MESSAGE(ran.status == 0, ran.error);
  }

  Shell& shell_;
  const fs::path folder_;
};

TEST_CASE("with an authority of its own a site gets requests, answers them, and goes on") {
  Site site;
  const json::value asked = site.made({"--own-ca"});
  const json::array& wanted = at(asked, "wanted_certificates").as_array();
  REQUIRE(wanted.size() == 4);
  CHECK(text_at(asked, "wanted_authority") == site.file("ca.crt").string());
  CHECK(at(asked, "development_only") == json::value(false));
  CHECK(at(asked, "keep_offline") ==
        json::value(json::array{site.file("offline/root.key").string()}));
  CHECK_FALSE(fs::exists(site.file("offline/ca.key")));
  CHECK(at(asked, "token").is_null());
  // A run before they exist changes nothing and asks for the same.
  const auto before = site.content();
  CHECK(at(parsed(site.setup({}).output), "wanted_certificates") == json::value(wanted));
  CHECK(site.content() == before);

  OwnAuthority authority(site.shell);
  fs::copy_file(authority.certificate(), site.file("ca.crt"));
  for (const json::value& one : wanted) authority.answer(one);
  const Ran again = site.setup({});
  REQUIRE_MESSAGE(again.status == 0, again.error);
  const json::value done = parsed(again.output);
  CHECK(at(done, "wanted_certificates").as_array().empty());
  CHECK(text_at(done, "token").starts_with("notp-join-1."));
  const CommandResult checked = site.check_server();
  CHECK_MESSAGE(checked.status == 0, checked.output);
}

TEST_CASE("an answer for somebody else is named, and nothing is made of it") {
  Site site;
  const json::value asked = site.made({"--own-ca"});
  OwnAuthority authority(site.shell);
  fs::copy_file(authority.certificate(), site.file("ca.crt"));
  for (const json::value& one : at(asked, "wanted_certificates").as_array()) {
    json::value answered = one;
    if (text_at(one, "certificate").ends_with("admin.crt"))
      answered.as_object()["identity"] = "spiffe://core-platform.internal/publisher/admin";
    authority.answer(answered);
  }
  const Ran again = site.setup({});
  CHECK(again.status != 0);
  CHECK_MESSAGE(again.error.contains("admin.crt"), again.error);
  CHECK_MESSAGE(again.error.contains("publisher/admin"), again.error);
  CHECK_FALSE(fs::exists(site.file("tokens/edge-1.token")));
}

}  // namespace
}  // namespace notp
