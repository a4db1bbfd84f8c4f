// Names and order of refs, addresses, signers and errors of an upstream Git repository.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "tools/notp/mirror/upstream_config.hpp"
#include "tools/notp/mirror/upstream_git.hpp"
#include "tools/notp/mirror/upstream_refs.hpp"
#include "tools/notp/mirror/upstream_signatures.hpp"

using namespace notp;
using cli::UpstreamConfig;
using cli::UpstreamRef;
using cli::UpstreamScheme;

namespace {

const std::string kId(40, 'a'), kOther(40, 'b');

// The highest of these tags; "-" when none is a candidate.
std::string newest(const std::vector<std::string>& tags, const std::string& pattern) {
  std::vector<UpstreamRef> refs = {{"refs/heads/v99", kId, {}}};
  for (const std::string& tag : tags) refs.push_back({"refs/tags/" + tag, kId, {}});
  const auto found = cli::newest_tag(refs, pattern);
  std::ranges::reverse(refs);
  const auto again = cli::newest_tag(refs, pattern);
  CHECK(found.has_value() == again.has_value());
  if (found) CHECK(found->name == again->name);
  return found ? found->name.substr(10) : "-";
}

}  // namespace

TEST_CASE("the highest version of a pattern") {
  CHECK(newest({"v1.9.0", "v1.10.0", "v1.2.99"}, "v*") == "v1.10.0");
  CHECK(newest({"v1", "v1.0.1", "v1.0"}, "v*") == "v1.0.1");
  CHECK(newest({"v1.0", "v1", "v1.0.0"}, "v*") == "v1.0.0");  // equal: by their bytes
  CHECK(newest({"v18446744073709551616", "v18446744073709551615"}, "v*") ==
        "v18446744073709551616");
  // Pre-releases only where the pattern asks for them; a release is above its pre-releases.
  CHECK(newest({"v2.0.0-rc1", "v1.0.0"}, "v*") == "v1.0.0");
  CHECK(newest({"v2.0.0-rc1", "v1.0.0"}, "v*-*") == "v2.0.0-rc1");
  CHECK(newest({"v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-beta",
                "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1"},
               "v*-*") == "v1.0.0-rc.1");
  CHECK(newest({"v1.0.0-beta.2", "v1.0.0-beta.11"}, "v*-*") == "v1.0.0-beta.11");
  CHECK(newest({"v1.0.0-1", "v1.0.0-a"}, "v*-*") == "v1.0.0-a");
  CHECK(newest({"v1.0.0+9", "v1.0.0+10"}, "v*") == "v1.0.0+9");
  // The text before the version, with digits of the version in it, with folders, with a 'v'.
  CHECK(newest({"v1.9", "v10.0", "v1.10", "v2.0"}, "v1*") == "v10.0");
  CHECK(newest({"v1.9", "v10.0", "v1.10"}, "v1.*") == "v1.10");
  CHECK(newest({"policy-v2.10.0", "policy-v2.9.0", "other-v3.0.0"}, "policy-*") ==
        "policy-v2.10.0");
  CHECK(newest({"payments/v1.0.0", "payments/v2.0.0", "shop/v3.0.0"}, "payments/*") ==
        "payments/v2.0.0");
  CHECK(newest({"a/v1.0.0"}, "*") == "-");  // '*' stays within one part
  CHECK(newest({"2026.09.30", "2026.11.05", "2026.10.31"}, "20*") == "2026.11.05");
  // What is not a version is never the highest.
  CHECK(newest({"vnext", "v1.x", "v", "v1.", "v.1", "v1.2-", "v1.2.3.4.5.6.7.8.9", "v0.1"}, "v*") ==
        "v0.1");
  CHECK(newest({"vnext"}, "v*") == "-");
  CHECK(newest({}, "v*") == "-");
  CHECK(newest({"v1"}, "v[") == "-");
}

TEST_CASE("names of branches and tags, and lists of them") {
  for (const char* name : {"main", "team/main", "v1.0.0", "a-b_c+d", "x{y}"})
    CHECK_MESSAGE(cli::check_ref_name(name), name);
  for (const std::string& name : {std::string(),
                                  std::string("-x"),
                                  std::string("a/-x"),
                                  std::string("a..b"),
                                  std::string("a b"),
                                  std::string("a~1"),
                                  std::string("a^{}"),
                                  std::string("a:b"),
                                  std::string("a?"),
                                  std::string("a*"),
                                  std::string("a["),
                                  std::string("a\\b"),
                                  std::string("a@{1}"),
                                  std::string("@"),
                                  std::string("a."),
                                  std::string(".a"),
                                  std::string("a/.b"),
                                  std::string("a.lock"),
                                  std::string("a.lock/b"),
                                  std::string("a//b"),
                                  std::string("/a"),
                                  std::string("a/"),
                                  std::string("a\nb"),
                                  std::string("a\0b", 3),
                                  std::string("sch\xc3\xb6n"),
                                  std::string("\x1b[2J"),
                                  std::string(256, 'a')})
    CHECK_MESSAGE(!cli::check_ref_name(name), name);

  const auto refs = cli::parse_refs(
      fmt::format("{0}\tHEAD\n{0}\trefs/heads/main\n{0}\trefs/tags/v1\n{1}\trefs/tags/v1^{{}}\n"
                  "{0}\trefs/tags/-v2\n{0}\trefs/heads/a..b\n{1}\trefs/tags/v3^{{}}\n",
                  kId, kOther));
  REQUIRE(refs);
  REQUIRE(refs->size() == 2);
  CHECK(refs->at(0).name == "refs/heads/main");
  CHECK(refs->at(1).peeled == kOther);
  for (const std::string& text :
       {kId + "\trefs/heads/main", kId + " refs/heads/main\n", std::string("x\trefs/heads/main\n"),
        std::string("\n"), std::string(39, 'a') + "\trefs/x\n"})
    CHECK_MESSAGE(cli::parse_refs(text).error().code == ErrorCode::kMessage, text);
  std::string many;
  for (size_t i = 0; i <= cli::kRefsMax; ++i) many += fmt::format("{}\trefs/tags/{}\n", kId, i);
  CHECK(cli::parse_refs(many).error().code == ErrorCode::kLimit);
}

TEST_CASE("addresses: https and ssh in their forms, without secrets and options") {
  const auto scheme = [](const std::string& text, bool allow_insecure = false) {
    const auto address = cli::parse_repository(text, allow_insecure);
    return address ? fmt::format("{} {} {}", static_cast<int>(address->scheme), address->authority,
                                 address->name)
                   : std::string("-");
  };
  CHECK(scheme("https://git.site/team/policies.git") == "0 git.site policies");
  CHECK(scheme("https://git.site:8443/policies/") == "0 git.site:8443 policies");
  CHECK(scheme("https://[::1]:8443/p") == "0 [::1]:8443 p");
  CHECK(scheme("ssh://git@git.site:22/~team/p.git") == "2  p");
  CHECK(scheme("git@git.site:team/p.git") == "2  p");
  CHECK(scheme("http://git.site/p", true) == "1 git.site p");
  CHECK(scheme("file:///srv/p.git", true) == "3  p");
  for (const char* text : {"http://git.site/p",
                           "file:///srv/p",
                           "/srv/p",
                           "p",
                           "",
                           "https://",
                           "https://git.site",
                           "https://git.site/",
                           "https:///p",
                           "https://user@git.site/p",
                           "https://user:pw@git.site/p",
                           "https://git.site/p?x",
                           "https://git.site/p#x",
                           "https://git.site:port/p",
                           "https://-git/p",
                           "https://git site/p",
                           "https://git.site/p\n",
                           "HTTPS://git.site/p",
                           "ssh://user:pw@git.site/p",
                           "ssh://-oX@git.site/p",
                           "git@:p",
                           "@git.site:p",
                           "git@git.site:",
                           "git@git.site:-p",
                           "git.site:p",
                           "ext::sh -c x",
                           "ext::x@y:z",
                           "fd::7",
                           "git://git.site/p",
                           "https://git.site%0a/p",
                           "git@-x:p"})
    CHECK_MESSAGE(scheme(text) == "-", text);
  CHECK(scheme("https://git.site/" + std::string(2'000, 'p')) == "-");
}

TEST_CASE("a configuration that cannot work is refused by its setting") {
  const auto refused = [](const std::function<void(UpstreamConfig&)>& change) {
    UpstreamConfig config;
    config.repository = "https://git.site/p";
    config.branch = "main";
    change(config);
    const auto checked = cli::check_upstream(config);
    return checked ? std::string()
                   : checked.error().message.substr(0, checked.error().message.find(':'));
  };
  CHECK(refused([](UpstreamConfig&) {}).empty());
  CHECK(refused([](UpstreamConfig& c) { c.branch.clear(); }) == "branch");
  CHECK(refused([](UpstreamConfig& c) { c.tag_pattern = "v*"; }) == "branch");
  CHECK(refused([](UpstreamConfig& c) { c.branch = "-x"; }).contains("'-x'"));
  CHECK(refused([](UpstreamConfig& c) { c.branch.clear(), c.tag_pattern = "v *"; }) == "tags");
  for (const char* path : {"/a", "a/", "a//b", "../a", "a/./b", "a\nb"})
    CHECK_MESSAGE(refused([&](UpstreamConfig& c) { c.path = path; }) == "path", path);
  CHECK(refused([](UpstreamConfig& c) { c.path = "a/b c"; }).empty());
  CHECK(refused([](UpstreamConfig& c) { c.verify = cli::VerifyMode::kHead; }) == "verify");
  CHECK(refused([](UpstreamConfig& c) { c.allowed_signers = "/x"; }) == "verify");
  CHECK(refused([](UpstreamConfig& c) {
          c.verify = cli::VerifyMode::kTag;
          c.allowed_signers = "/x";
        }) == "verify");
  CHECK(refused([](UpstreamConfig& c) {
          c.verify = cli::VerifyMode::kHead;
          c.allowed_signers = "/x";
          c.signers_min = 17;
        }) == "signers_min");
  CHECK(refused([](UpstreamConfig& c) { c.username = "u"; }) == "password_file");
  CHECK(refused([](UpstreamConfig& c) { c.password_file = "/x"; }) == "password_file");
  CHECK(refused([](UpstreamConfig& c) { c.username = "a\nb", c.password_file = "/x"; }) ==
        "username");
  CHECK(refused([](UpstreamConfig& c) { c.certificate = "/x"; }) == "certificate");
  CHECK(refused([](UpstreamConfig& c) { c.repository = "git@git.site:p"; }) == "ssh_key");
  CHECK(refused([](UpstreamConfig& c) { c.disk_bytes_max = 0; }) == "disk_bytes_max");
  CHECK(refused([](UpstreamConfig& c) { c.deadline_ms = 0; }) == "deadline_ms");
}

TEST_CASE("a signer is taken from one clear verdict only") {
  const std::string good =
      "Good \"git\" signature for alice with x@site with ED25519 key SHA256:abc\n";
  const auto signer = cli::ssh_signer_of(true, good);
  REQUIRE(signer);
  CHECK(signer->name == "alice with x@site");
  CHECK(signer->key == "SHA256:abc");
  CHECK_FALSE(cli::ssh_signer_of(false, good));
  CHECK_FALSE(cli::ssh_signer_of(true, good + good));
  CHECK_FALSE(cli::ssh_signer_of(true, ""));
  CHECK_FALSE(cli::ssh_signer_of(true, "Good \"git\" signature with ED25519 key SHA256:abc\n"));
  CHECK_FALSE(cli::ssh_signer_of(true, "x " + good));

  const std::string valid =
      "[GNUPG:] GOODSIG AB alice <alice@site>\n[GNUPG:] VALIDSIG CD 2026 1 0 4 0 22 8 00 EF\n";
  CHECK(cli::gpg_signer_of(true, valid)->key == "EF");
  CHECK_FALSE(cli::gpg_signer_of(false, valid));
  CHECK_FALSE(cli::gpg_signer_of(true, valid + valid));
  for (const char* fault : {"BADSIG x", "ERRSIG x", "EXPSIG x", "EXPKEYSIG x", "REVKEYSIG x"})
    CHECK_MESSAGE(!cli::gpg_signer_of(true, valid + "[GNUPG:] " + fault + "\n"), fault);
  CHECK_FALSE(cli::gpg_signer_of(true, "[GNUPG:] VALIDSIG CD 2026 1 0 4 0 22 8 00 EF\n"));

  cli::UpstreamSigners signers;
  signers.add({"J\xc3\xb6rg <j@site>\x1b", "EF"});
  signers.add({"other", "EF"});
  CHECK(signers.count() == 1);
  CHECK(signers.text() == "J??rg <j@site>? (EF)");
  for (int i = 0; i < 100; ++i)
    signers.add({std::string(150, 'x') + std::to_string(i), std::to_string(i)});
  CHECK(signers.text().size() <= 1'024);
}

TEST_CASE("what git says is shown without control characters and secrets") {
  CHECK(
      cli::shown_error("remote: \x1b[31mgo away\r\nfatal: x 'pass' y\n\nPlease make sure you have "
                       "the correct access rights\nand the repository exists.\n",
                       {"pass"}) == "remote: \\x1b[31mgo away; fatal: x '***' y");
  CHECK(cli::shown_error("pa\nss", {"pa\nss"}) == "***");
  using enum ErrorCode;
  CHECK(cli::code_of_server_error("fatal: fsck error in packed object") == kInvalidModel);
  CHECK(cli::code_of_server_error("Host key verification failed.") == kTls);
  CHECK(cli::code_of_server_error("server certificate verification failed") == kTls);
  CHECK(cli::code_of_server_error("fatal: Authentication failed for 'x'") == kDenied);
  CHECK(cli::code_of_server_error("Permission denied (publickey).") == kDenied);
  CHECK(cli::code_of_server_error("fatal: repository 'x' not found") == kNotFound);
  CHECK(cli::code_of_server_error("Could not resolve host") == kUnavailable);
}
