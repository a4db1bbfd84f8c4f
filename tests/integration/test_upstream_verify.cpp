// Whose signatures of commits and tags an upstream repository accepts: SSH keys by an
// allowed-signers file, OpenPGP keys by a folder of keys.
#include <doctest/doctest.h>

#include "protocol/trust/statements.hpp"
#include "tests/support/process/opened_upstream.hpp"

using namespace notp;
using cli::Upstream;
using cli::UpstreamTip;
using cli::VerifyMode;

namespace {

struct SignedUpstream : OpenedUpstream {
  SshKey alice = SshKey::make(site.file("alice")), bob = SshKey::make(site.file("bob"));

  SignedUpstream() {
    config.verify = VerifyMode::kHead;
    config.allowed_signers = site.file("allowed_signers");
    allow(alice.allowed_as("alice@site", "namespaces=\"git\"") + bob.allowed_as("bob@site"));
  }
  void allow(const std::string& lines) const { must(write_file(config.allowed_signers, lines)); }
  // Follows tags, which are to be signed.
  void follow_tags(VerifyMode mode) {
    config.branch.clear();
    config.tag_pattern = "v*";
    config.verify = mode;
  }
  // Of what is pushed now.
  Result<std::string> verdict() {
    repository.push();
    Upstream upstream = open();
    return upstream.verify(fetched(upstream));
  }
  void refused(std::string_view why, ErrorCode code = ErrorCode::kSignature) {
    const auto signer = verdict();
    REQUIRE_MESSAGE(!signer, why);
    CHECK_MESSAGE(signer.error().code == code, signer.error().message);
    CHECK_MESSAGE(signer.error().message.contains(why), signer.error().message);
  }
  // Makes the branch stand at a commit object with this text.
  void commit_text(const std::string& text) {
    must(write_file(site.file("object"), text));
    repository.run({"reset", "-q", "--hard",
                    repository.run({"hash-object", "-t", "commit", "-w", site.file("object")})});
  }
  std::string text_of(const std::string& object) {
    return run_git(repository.work(), {"cat-file", "-p", object}).output;
  }
};

// The text of a commit with another signature: of the namespace, by the key.
std::string signed_for(const SignedUpstream& at, const std::string& text, const SshKey& key,
                       const std::string& use) {
  const size_t begin = text.find("gpgsig "), end = text.find("\n\n");
  REQUIRE(begin < end);
  const std::string payload = text.substr(0, begin) + text.substr(end + 1);
  const std::string file = at.site.file("payload");
  must(write_file(file, payload));
  std::filesystem::remove(file + ".sig");
  const auto made = run_command(
      {"ssh-keygen", "-q", "-Y", "sign", "-n", use, "-f", key.private_file.string(), file});
  REQUIRE_MESSAGE(made.status == 0, made.output);
  std::string signature = read_text(file + ".sig");
  while (signature.ends_with('\n')) signature.pop_back();
  for (size_t at_line = signature.find('\n'); at_line != signature.npos;
       at_line = signature.find('\n', at_line + 2))
    signature.insert(at_line + 1, " ");
  return payload.substr(0, begin) + "gpgsig " + signature + "\n" + payload.substr(begin);
}

// Keys of gpg in a folder with its own agent, which ends with it.
class GpgKeys {
 public:
  explicit GpgKeys(std::filesystem::path home) : home_(std::move(home)) {
    std::filesystem::create_directories(home_);
    std::filesystem::permissions(home_, std::filesystem::perms::owner_all);
  }
  GpgKeys(const GpgKeys&) = delete;
  GpgKeys& operator=(const GpgKeys&) = delete;
  ~GpgKeys() { run_command({"gpgconf", "--homedir", home_.string(), "--kill", "gpg-agent"}); }
  // Runs gpg on them. Returns its output.
  std::string run(std::vector<std::string> words, const std::string& input = "/dev/null") const {
    words.insert(words.begin(), {"gpg", "--homedir", home_.string(), "--batch", "--quiet", "--yes",
                                 "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""});
    const auto result = run_command(words, {{"LC_ALL", "C"}}, input);
    REQUIRE_MESSAGE(result.status == 0, result.output);
    return result.output;
  }
  // Makes a key, and returns its fingerprint. `more`: options before the command.
  std::string make(const std::string& name, const std::string& life = "never",
                   std::vector<std::string> more = {}) const {
    more.insert(more.end(),
                {"--quick-gen-key", fmt::format("{0} <{0}@site>", name), "ed25519", "sign", life});
    run(std::move(more));
    const std::string listed = run({"--with-colons", "--list-keys", name + "@site"});
    const size_t at = listed.find("\nfpr:");
    return listed.substr(listed.find_first_not_of(':', at + 5), 40);
  }
  // Copies public keys into another folder.
  void give(const std::string& name, const GpgKeys& to) const {
    const std::string file = home_ / "exported";
    run({"--output", file, "--export", name + "@site"});
    to.run({"--import", file});
  }
  const std::filesystem::path& home() const { return home_; }

 private:
  const std::filesystem::path home_;
};

}  // namespace

TEST_CASE(
    "a commit signed by an allowed SSH key is accepted; each other one is refused by its fault") {
  SignedUpstream at;
  const SshKey mallory = SshKey::make(at.site.file("mallory"));
  at.repository.write("a.rego", kPolicy).commit("good", &at.alice);
  const std::string good = at.repository.head(), text = at.text_of(good);
  const std::string signer = must(at.verdict());
  CHECK_MESSAGE(signer.starts_with("alice@site (SHA256:"), signer);
  CHECK(trust::is_commit_id(good));

  at.repository.commit("unsigned");
  at.refused("is not signed");
  at.repository.commit("by another", &mallory);
  at.refused("not in allowed_signers: SHA256:");
  // Changed after it was signed; signed for files; two signatures.
  std::string changed = text;
  at.commit_text(changed.replace(changed.find("good"), 4, "evil"));
  at.refused("changed after it was signed");
  at.commit_text(signed_for(at, text, at.alice, "file"));
  at.refused("for another purpose");
  at.commit_text(signed_for(at, text, at.alice, "git"));
  CHECK(must(at.verdict()) == signer);
  std::string twice = text;
  const size_t begin = text.find("gpgsig "), end = text.find("\n\n") + 1;
  at.commit_text(twice.insert(begin, text.substr(begin, end - begin)));
  at.refused("not with SSH");

  at.commit_text(text);
  at.allow(at.alice.allowed_as("alice@site", "namespaces=\"file\""));
  at.refused("namespaces");
  at.allow(at.alice.allowed_as("alice@site", "valid-before=\"20200101\""));
  at.refused("had expired", ErrorCode::kExpired);
  at.allow(at.alice.allowed_as("alice@site", "valid-after=\"20990101\""));
  at.refused("not valid yet");
  at.allow("no line of such a file\n");
  at.refused("");
  at.allow(at.alice.allowed_as("alice@site"));
  at.config.revoked_signers = at.site.file("revoked");
  must(write_file(at.config.revoked_signers, at.bob.public_key + "\n"));
  CHECK(must(at.verdict()) == signer);
  must(write_file(at.config.revoked_signers, at.alice.public_key + "\n"));
  at.refused("revoked", ErrorCode::kRevoked);
  REQUIRE(run_command({"ssh-keygen", "-q", "-k", "-f", at.config.revoked_signers.string(),
                       at.alice.private_file.string() + ".pub"})
              .status == 0);
  at.refused("revoked", ErrorCode::kRevoked);
  // git itself would go on without the list of what is revoked.
  std::filesystem::remove(at.config.revoked_signers);
  at.refused("revoked_signers", ErrorCode::kConfig);
  at.config.revoked_signers.clear();
  std::filesystem::remove(at.config.allowed_signers);
  at.refused("allowed_signers", ErrorCode::kConfig);
}

TEST_CASE("a tag has to be signed, under its own name, for the commit that was fetched") {
  SignedUpstream at;
  at.follow_tags(VerifyMode::kTag);
  at.repository.write("a.rego", kPolicy).commit("unsigned");
  const std::string tag = at.repository.tag("v1.0.0", &at.alice);
  CHECK(must(at.verdict()).starts_with("alice@site ("));
  at.repository.run({"tag", "-f", "v1.1.0"});
  at.refused("lightweight");
  at.repository.tag("v1.2.0");
  at.refused("is not signed");
  // The signed object under another name, and inside another tag.
  at.repository.run({"update-ref", "refs/tags/v1.3.0", tag});
  at.refused("signed as the tag 'v1.0.0'");
  at.repository.tag("v1.4.0", &at.alice, "v1.0.0");
  at.refused("signed for the tag");
  const SshKey mallory = SshKey::make(at.site.file("mallory"));
  at.repository.tag("v1.5.0", &mallory);
  at.refused("not in allowed_signers");

  // Moved to another commit, signed again: good. As if another commit had been fetched: refused.
  at.repository.commit("next");
  at.repository.tag("v1.6.0", &at.bob);
  CHECK(must(at.verdict()).starts_with("bob@site ("));
  Upstream upstream = at.open();
  UpstreamTip tip = fetched(upstream);
  tip.commit = at.repository.run({"rev-parse", "HEAD~1"});
  const auto other = upstream.verify(tip);
  REQUIRE_FALSE(other);
  CHECK_MESSAGE(other.error().message.contains("signed for the commit"), other.error().message);
  {
    Upstream closed = std::move(upstream);
  }

  at.config.verify = VerifyMode::kTagAndHead;
  at.refused("the commit ");
  at.repository.commit("signed", &at.alice);
  at.repository.tag("v1.7.0");
  at.refused("the tag v1.7.0 is not signed");
  at.repository.tag("v1.8.0", &at.alice);
  CHECK(must(at.verdict()).starts_with("alice@site ("));
}

TEST_CASE("several signers have signed the same content, each of them once") {
  SignedUpstream at;
  at.config.signers_min = 2;
  at.config.path = "model";
  at.repository.write("model/a.rego", kPolicy).commit("first", &at.alice);
  at.refused("1 of 2 signers: alice@site");
  at.repository.commit("seen", &at.bob);  // adds nothing but a signature
  const std::string both = must(at.verdict());
  CHECK_MESSAGE(
      (both.contains("alice@site (") && both.contains("; ") && both.contains("bob@site (")), both);
  at.repository.write("beside.txt", "x").commit("beside the path", &at.alice);
  CHECK(at.verdict());
  at.repository.write("model/b.rego", kPolicy).commit("more", &at.alice);
  at.refused("1 of 2");

  // A branch of bob's that alice merges: without a change it is the content that he signed.
  const std::string base = at.repository.head();
  const auto merge = [&](const std::string& branch, const std::string& change) {
    at.repository.run({"checkout", "-q", "-b", branch});
    at.repository.write("model/c.rego", "package " + branch + "\n").commit(branch, &at.bob);
    at.repository.run({"checkout", "-q", "main"});
    at.repository.run({"merge", "-q", "--no-ff", "--no-commit", branch});
    if (!change.empty()) at.repository.write("model/c.rego", change);
    at.repository.commit("merge " + branch, &at.alice);
  };
  merge("one", "");
  CHECK(at.verdict());
  merge("two", "package other\n");
  at.refused("1 of 2");
  // What bob signed once and what was replaced since cannot be brought back by alice alone.
  at.repository.run({"checkout", "-q", "one", "--", "model"});
  const std::string tree = at.repository.run({"write-tree"});
  const std::string replayed = at.repository.run(
      {"-c", "gpg.format=ssh", "-c", "user.signingkey=" + at.alice.private_file.string(),
       "commit-tree", "-S", "-p", "HEAD", "-p", "one", "-m", "replay", tree});
  at.repository.run({"reset", "-q", "--hard", replayed});
  at.refused("1 of 2");

  // One person with two keys, one key under two names.
  at.repository.commit("again", &at.bob);
  CHECK(at.verdict());
  at.allow(at.alice.allowed_as("alice@site") + at.bob.allowed_as("alice@site"));
  at.refused("1 of 2");

  // Tag and commit are by different people.
  at.allow(at.alice.allowed_as("alice@site") + at.bob.allowed_as("bob@site"));
  at.follow_tags(VerifyMode::kTagAndHead);
  at.repository.write("model/d.rego", kPolicy).commit("last", &at.alice);
  at.repository.tag("v1.0.0", &at.alice);
  at.refused("1 of 2");
  at.repository.tag("v1.0.1", &at.bob);
  CHECK(at.verdict());
  at.config.signers_min = 3;
  at.refused("2 of 3");
}

TEST_CASE("one signer cannot bring back by a merge what others have signed and replaced since") {
  SignedUpstream at;
  at.config.signers_min = 2;
  at.config.path = "model";
  at.repository.write("model/a.rego", kPolicy).commit("old", &at.alice);
  const std::string old = at.repository.commit("seen", &at.bob);
  CHECK(at.verdict());
  at.repository.write("model/a.rego", "package shop\n").commit("new", &at.bob);
  at.repository.commit("seen", &at.alice);
  CHECK(at.verdict());

  // Alice puts a commit of her own on the old one, which is in the history already, and merges
  // that: also twice, so that the old one is met before what replaced it.
  const auto commit_tree = [&](const std::vector<std::string>& parents) {
    std::vector<std::string> words = {
        "-c",          "gpg.format=ssh",
        "-c",          "user.signingkey=" + at.alice.private_file.string(),
        "commit-tree", "-S",
        "-m",          "replay"};
    for (const std::string& parent : parents) words.insert(words.end(), {"-p", parent});
    words.push_back(old + "^{tree}");
    return at.repository.run(std::move(words));
  };
  const std::string fork = commit_tree({old});
  const std::string replay = commit_tree({at.repository.head(), fork});
  at.repository.run({"reset", "-q", "--hard", replay});
  at.refused("1 of 2");
  const std::string twice = commit_tree({fork, replay});
  at.repository.run({"reset", "-q", "--hard", twice});
  at.refused("1 of 2");
  // With bob's signature of today it may come back.
  at.repository.commit("again", &at.bob);
  CHECK(at.verdict());
}

TEST_CASE("OpenPGP: whoever is in the folder of keys, with a key that is valid now") {
  SignedUpstream at;
  const TemporaryFolder short_path;
  const GpgKeys all(short_path.path() / "a"), allowed(short_path.path() / "b");
  const std::string alice = all.make("alice");
  all.make("carol");
  all.make("bob");
  const std::vector<std::string> past = {"--faked-system-time", "20200101T000000"};
  all.make("eve", "1d", past);
  for (const char* name : {"alice", "carol", "eve"}) all.give(name, allowed);
  at.config.gpg_home = allowed.home();
  // Settings there do not count: with these, no run of gpg would succeed.
  must(write_file(allowed.home() / "gpg.conf", "no-such-option\n"));

  const auto commit = [&](const std::string& name, const std::string& program) {
    at.repository.write("a.rego", kPolicy + name);
    at.repository.run({"add", "-A"});
    const auto done =
        run_command({"git", "-C", at.repository.work(), "-c", "gpg.format=openpgp", "-c",
                     "gpg.program=" + program, "-c", fmt::format("user.signingkey={}@site", name),
                     "-c", "user.name=A", "-c", "user.email=a@site", "commit", "-q",
                     "--allow-empty", "-S", "-m", name},
                    {{"GNUPGHOME", all.home()}});
    REQUIRE_MESSAGE(done.status == 0, done.output);
  };
  commit("alice", "gpg");
  CHECK(must(at.verdict()) == fmt::format("alice <alice@site> ({})", alice));
  const std::string text = at.text_of("HEAD");
  commit("bob", "gpg");
  at.refused("not in gpg_home");
  const auto old_gpg = at.site.file("old-gpg");
  must(write_file(old_gpg, "#!/bin/sh\nexec gpg --faked-system-time 20200101T000100 \"$@\"\n",
                  0755));
  commit("eve", old_gpg);
  at.refused("expired", ErrorCode::kExpired);
  commit("carol", "gpg");
  CHECK(at.verdict());
  std::filesystem::remove(allowed.home() / "gpg.conf");
  const std::string fingerprint = [&] {
    const std::string listed = allowed.run({"--with-colons", "--list-keys", "carol@site"});
    return listed.substr(listed.find_first_not_of(':', listed.find("\nfpr:") + 5), 40);
  }();
  std::string revocation = read_text(all.home() / "openpgp-revocs.d" / (fingerprint + ".rev"));
  revocation.erase(revocation.find(":-----BEGIN"), 1);
  must(write_file(at.site.file("revocation"), revocation));
  allowed.run({"--import", at.site.file("revocation")});
  at.refused("revoked", ErrorCode::kRevoked);
  std::string changed = text;
  at.commit_text(changed.replace(changed.rfind("alice"), 5, "malice"));
  at.refused("changed after it was signed");

  // Each kind of signature counts only where its signers are given.
  at.commit_text(text);
  at.config.gpg_home.clear();
  at.refused("not with SSH");
  at.config.gpg_home = allowed.home();
  at.config.allowed_signers.clear();
  CHECK(at.verdict());
  at.repository.commit("by SSH", &at.alice);
  at.refused("not with OpenPGP");
  at.config.gpg_home = at.site.file("nothing");
  const auto none = at.verdict();
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::kConfig);
}
