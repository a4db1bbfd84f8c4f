// A mirror of an upstream repository: what becomes of a tip, when it is looked at, whose webhook
// counts, and what a configuration may say.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/message.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/mirror/mirror_config.hpp"
#include "tools/notp/mirror/mirror_core.hpp"
#include "tools/notp/mirror/mirror_schedule.hpp"
#include "tools/notp/mirror/mirror_status.hpp"
#include "tools/notp/mirror/webhook.hpp"

namespace notp::cli {
namespace {

constexpr const char* kRepository = "https://git.example.org/policies.git";
const std::string kOld(40, 'a'), kNew(40, 'b'), kOther(40, 'c');
const Hash kHead = sha256("release"), kRules = sha256("rules");

MirrorRules rules(OnRewrite on_rewrite = OnRewrite::kHold, bool can_sign = true) {
  return {.ledger = "100000000001/shop",
          .repository = kRepository,
          .on_rewrite = on_rewrite,
          .can_sign = can_sign,
          .digest = kRules};
}

trust::Source source(const std::string& commit, const std::string& ref = "refs/heads/main") {
  return {.repository = kRepository, .ref = ref, .commit = commit, .signer = ""};
}

// The head is v7 of kOld, upstream is at kNew, signed well, with other content and kOld in its
// history. Each case changes something.
MirrorFacts all_known() {
  MirrorFacts facts;
  facts.tip = {"refs/heads/main", kNew};
  facts.head = MirrorHead{7, kHead, sha256("content"), source(kOld)};
  facts.is_head_read = facts.is_fetched = true;
  facts.verification = MirrorVerification{true, "ana", ""};
  facts.has_head_commit = true;
  facts.content_root = sha256("other content");
  return facts;
}

MirrorPending waiting(const std::string& commit, uint64_t version = 8) {
  return {.version = version,
          .release_hash = sha256(commit + std::to_string(version)),
          .source = source(commit),
          .content_root = sha256("other content"),
          .signers = 0,
          .is_signed_here = false};
}

struct Case {
  const char* what;
  MirrorRules rules;
  MirrorFacts facts;
  MirrorStep step;
  MirrorState state;
  MirrorReason reason;
};

MirrorFacts changed(const std::function<void(MirrorFacts&)>& change) {
  MirrorFacts facts = all_known();
  change(facts);
  return facts;
}

std::vector<Case> cases() {
  using enum MirrorStep;
  const auto same = [](MirrorFacts& f) { f.content_root = f.head->content_root; };
  const auto unsigned_tip = [](MirrorFacts& f) {
    f.verification = MirrorVerification{false, "", "it is not signed"};
  };
  const auto rewritten = [](MirrorFacts& f) { f.has_head_commit = false; };
  const auto moved_tag = [](MirrorFacts& f) { f.tip.ref = f.head->source->ref = "refs/tags/v1"; };
  const auto by_a_person = [](MirrorFacts& f) { f.head->source.reset(); };
  const auto from_elsewhere = [](MirrorFacts& f) { f.head->source->repository += "x"; };
  const auto also = [](auto first, auto second) {
    return [=](MirrorFacts& f) {
      first(f);
      second(f);
    };
  };
  const auto with_pending = [](MirrorFacts& f) { f.pending = {waiting(kNew)}; };
  const auto signed_here = [](MirrorFacts& f) {
    f.pending = {waiting(kNew)};
    f.pending[0].is_signed_here = true;
    f.pending[0].signers = 1;
  };
  const auto invalid = [](MirrorFacts& f) { f.invalid = "policy.rego:1: parse error"; };
  const auto first = [](MirrorFacts& f) { f.head.reset(); };
  const auto follow = rules(OnRewrite::kFollow), no_key = rules(OnRewrite::kHold, false);
  using S = MirrorState;
  using R = MirrorReason;
  return {
      {"a change goes out", rules(), all_known(), kPublish, S::kCurrent, R::kNone},
      {"the first release", rules(), changed(first), kPublish, S::kCurrent, R::kNone},
      {"the same content is no release", rules(), changed(same), kNothing, S::kCurrent, R::kNone},
      {"the next tag", rules(), changed([](MirrorFacts& f) {
         f.head->source->ref = "refs/tags/v1";
         f.tip.ref = "refs/tags/v2";
       }),
       kPublish, S::kCurrent, R::kNone},
      {"another branch that contains the head's commit", rules(),
       changed([](MirrorFacts& f) { f.head->source->ref = "refs/heads/hotfix"; }), kPublish,
       S::kCurrent, R::kNone},
      {"a released commit with other rules", rules(),
       changed([](MirrorFacts& f) { f.head->source->commit = kNew; }), kPublish, S::kCurrent,
       R::kNone},
      // Signatures come before everything else.
      {"unsigned", rules(), changed(unsigned_tip), kNothing, S::kHeld, R::kSignature},
      {"unsigned, though history may be rewritten", follow, changed(also(unsigned_tip, rewritten)),
       kNothing, S::kHeld, R::kSignature},
      {"unsigned and rewritten: nothing to sign", rules(), changed(also(unsigned_tip, rewritten)),
       kNothing, S::kHeld, R::kSignature},
      {"unsigned, and the first one", rules(), changed(also(unsigned_tip, first)), kNothing,
       S::kHeld, R::kSignature},
      // Rewritten history.
      {"force-push", rules(), changed(rewritten), kPropose, S::kHeld, R::kRewritten},
      {"force-push to the same content", rules(), changed(also(rewritten, same)), kPropose,
       S::kHeld, R::kRewritten},
      {"moved tag, also forward", rules(), changed(moved_tag), kPropose, S::kHeld, R::kMovedTag},
      {"a person published", rules(), changed(by_a_person), kPropose, S::kHeld, R::kOtherSource},
      {"a person published the same content", rules(), changed(also(by_a_person, same)), kPropose,
       S::kHeld, R::kOtherSource},
      {"published from another repository", rules(), changed(from_elsewhere), kPropose, S::kHeld,
       R::kOtherSource},
      {"held once a tip", rules(), changed(also(rewritten, with_pending)), kNothing, S::kHeld,
       R::kRewritten},
      {"held, though it is invalid", rules(), changed(also(rewritten, invalid)), kNothing, S::kHeld,
       R::kRewritten},
      {"followed", follow, changed(rewritten), kPublish, S::kCurrent, R::kNone},
      {"followed, moved tag", follow, changed(moved_tag), kPublish, S::kCurrent, R::kNone},
      {"a person's is never undone", follow, changed(by_a_person), kPropose, S::kHeld,
       R::kOtherSource},
      {"followed to the same content", follow, changed(also(rewritten, same)), kNothing,
       S::kCurrent, R::kNone},
      // Signatures of people.
      {"no key", no_key, all_known(), kPropose, S::kWaiting, R::kNoKey},
      {"no key, proposed already", no_key, changed(with_pending), kNothing, S::kWaiting, R::kNoKey},
      {"no key, force-push", no_key, changed(rewritten), kPropose, S::kHeld, R::kRewritten},
      {"signed here, others are missing", rules(), changed(signed_here), kNothing, S::kWaiting,
       R::kThreshold},
      {"proposed before there was a key", rules(), changed(with_pending), kPublish, S::kCurrent,
       R::kNone},
      {"proposed on an earlier head", no_key,
       changed([](MirrorFacts& f) { f.pending = {waiting(kNew, 7)}; }), kPropose, S::kWaiting,
       R::kNoKey},
      // Content.
      {"invalid", rules(), changed(invalid), kNothing, S::kRefused, R::kInvalidModel},
      {"invalid, without a key", no_key, changed(invalid), kNothing, S::kRefused, R::kInvalidModel},
  };
}

TEST_CASE("what becomes of a tip") {
  for (const Case& each : cases()) {
    CAPTURE(each.what);
    const MirrorDecision decision = decide_mirror(each.rules, each.facts);
    CHECK(decision.step == each.step);
    CHECK(mirror_state_name(decision.state) == mirror_state_name(each.state));
    CHECK(mirror_reason_name(decision.reason) == mirror_reason_name(each.reason));
    // A person who has to look is told of what.
    CHECK(decision.message.empty() == (each.state == MirrorState::kCurrent));
  }
}

TEST_CASE("facts are asked for in order, and nothing of a tip is read before its signatures") {
  MirrorFacts facts;
  facts.tip = {"refs/heads/main", kNew};
  facts.head = MirrorHead{7, kHead, {}, {}};
  std::vector<MirrorStep> asked;
  while (true) {
    const MirrorDecision decision = decide_mirror(rules(), facts);
    asked.push_back(decision.step);
    if (decision.step >= MirrorStep::kPublish) break;
    const MirrorFacts known = all_known();
    if (decision.step == MirrorStep::kReadHead) facts.head = known.head, facts.is_head_read = true;
    if (decision.step == MirrorStep::kFetch) facts.is_fetched = true;
    if (decision.step == MirrorStep::kVerify) facts.verification = known.verification;
    if (decision.step == MirrorStep::kCompareHistory) facts.has_head_commit = true;
    if (decision.step == MirrorStep::kBuild) facts.content_root = known.content_root;
  }
  CHECK(asked == std::vector{MirrorStep::kReadHead, MirrorStep::kFetch, MirrorStep::kVerify,
                             MirrorStep::kCompareHistory, MirrorStep::kBuild,
                             MirrorStep::kPublish});
}

TEST_CASE("what was found out before saves work, under the same head and rules only") {
  MirrorFacts facts = all_known();
  facts.is_head_read = facts.is_fetched = false;
  facts.content_root.reset();
  facts.checked = MirrorChecked{kNew, kHead, kRules, MirrorChecked::Outcome::kSameContent, ""};
  const auto step = [&](const MirrorRules& by) { return decide_mirror(by, facts).step; };
  CHECK(step(rules()) == MirrorStep::kNothing);
  MirrorRules other = rules();
  other.digest = sha256("other rules");
  CHECK(step(other) == MirrorStep::kReadHead);
  facts.head->release_hash = sha256("published by a person");
  CHECK(step(rules()) == MirrorStep::kReadHead);

  // A commit that does not touch the path is found by its tree, and is no release.
  facts = all_known();
  facts.content_root.reset();
  facts.checked = MirrorChecked{kOther, kHead, kRules, MirrorChecked::Outcome::kSameContent, ""};
  CHECK(step(rules()) == MirrorStep::kComparePath);
  CHECK(step(other) == MirrorStep::kBuild);
  facts.has_checked_content = true;
  CHECK(decide_mirror(rules(), facts).state == MirrorState::kCurrent);
  facts.has_checked_content = false;
  CHECK(step(rules()) == MirrorStep::kBuild);

  // What was refused is not validated again, and what was rewritten is held all the same.
  facts.checked = MirrorChecked{kNew, kHead, kRules, MirrorChecked::Outcome::kInvalid, "bad"};
  CHECK(decide_mirror(rules(), facts).state == MirrorState::kRefused);
  facts.has_head_commit = false;
  CHECK(step(rules()) == MirrorStep::kBuild);
}

TEST_CASE("pending releases for another tip go, unless a person signed them") {
  MirrorFacts facts = all_known();
  facts.pending = {waiting(kNew), waiting(kOther), waiting(kNew, 7), waiting(kOld), waiting(kOld)};
  facts.pending[3].signers = 1;
  facts.pending[4].source.repository = "https://elsewhere.example.org/a.git";
  CHECK(superseded_pending(facts, kRepository) ==
        std::vector{facts.pending[1].release_hash, facts.pending[2].release_hash});
  facts.pending[3].is_signed_here = true;  // its only signature
  CHECK(superseded_pending(facts, kRepository).size() == 3);
}

TEST_CASE("nobody is left with a pending release that upstream or the configuration gave up") {
  // A key was taken off the signers after the release had been proposed.
  MirrorFacts facts = all_known();
  facts.pending = {waiting(kNew)};
  CHECK(superseded_pending(facts, kRepository).empty());
  facts.verification = MirrorVerification{false, "", "its key is revoked"};
  CHECK(superseded_pending(facts, kRepository) == std::vector{facts.pending[0].release_hash});

  // Proposed before there was a key, and signed since: one of the two is enough, in any order.
  facts = all_known();
  facts.pending = {waiting(kNew), waiting(kNew)};
  for (MirrorPending* chosen : {&facts.pending[1], &facts.pending[0]}) {
    facts.pending[0].is_signed_here = facts.pending[1].is_signed_here = false;
    facts.pending[0].release_hash = sha256("one");
    facts.pending[1].release_hash = sha256("two");
    facts.pending[0].signers = facts.pending[1].signers = 0;
    chosen->is_signed_here = true;
    chosen->signers = 1;
    CHECK(decide_mirror(rules(), facts).step == MirrorStep::kNothing);
    const auto dropped = superseded_pending(facts, kRepository);
    REQUIRE(dropped.size() == 1);
    CHECK(dropped[0] != chosen->release_hash);
  }

  // Another path or manifest makes other content of the same commit.
  for (const MirrorRules& by : {rules(OnRewrite::kHold, false), rules()}) {
    facts = all_known();
    facts.has_head_commit = !by.can_sign;  // waits for a key, and is held
    facts.pending = {waiting(kNew)};
    facts.content_root.reset();
    CHECK(decide_mirror(by, facts).step == MirrorStep::kBuild);
    facts.content_root = sha256("content of another path");
    CHECK(decide_mirror(by, facts).step == MirrorStep::kPropose);
    CHECK(superseded_pending(facts, kRepository) == std::vector{facts.pending[0].release_hash});
    // Under the same rules it is not built again to be held.
    facts.content_root.reset();
    facts.checked = MirrorChecked{kNew, kHead, kRules, MirrorChecked::Outcome::kPending, ""};
    CHECK(decide_mirror(by, facts).step ==
          (by.can_sign ? MirrorStep::kNothing : MirrorStep::kBuild));
    facts.pending.clear();  // a person dropped it
    CHECK(decide_mirror(by, facts).step == MirrorStep::kBuild);
  }
}

// --- when

TEST_CASE("upstream is fetched from at most once in five seconds, however many hints come") {
  MirrorSchedule schedule(60'000, 1'000, 0.5);
  CHECK(schedule.next_ms() == 1'500);
  schedule.started(1'500);
  CHECK(schedule.next_ms() == kNever);
  // One that comes while a pass fetches is followed after the pause.
  schedule.hint(1'600);
  schedule.ended(true, /*has_fetched=*/true, 1'700, 0.5);
  CHECK(schedule.next_ms() == 6'500);
  schedule.started(6'500);
  schedule.ended(true, /*has_fetched=*/false, 6'600, 0.5);
  CHECK(schedule.next_ms() == 66'600);
  // A pass for a hint counts, whether it found something or not.
  for (int i = 0; i < 1'000; ++i) schedule.hint(7'000 + i);
  CHECK(schedule.next_ms() == 11'500);
  schedule.started(11'500);
  schedule.ended(true, true, 11'600, 0.5);
  schedule.hint(30'000);
  CHECK(schedule.is_due(30'000));
  schedule.started(30'000);
  schedule.ended(true, false, 30'100, 0.5);
  CHECK(schedule.next_ms() == 90'100);
  // A look at the interval that found nothing delays no hint, not even one of that moment.
  schedule.started(90'100);
  schedule.hint(90'150);
  schedule.ended(true, false, 90'200, 0.5);
  CHECK(schedule.next_ms() == 90'200);
}

TEST_CASE("the interval has ten percent of jitter, failures double the time up to a limit") {
  for (const auto& [chance, wait] : {std::pair{0.0, 54'000}, {0.5, 60'000}, {1.0, 66'000}}) {
    MirrorSchedule schedule(60'000, 0, 0);
    schedule.started(0);
    schedule.ended(true, false, 0, chance);
    CHECK(schedule.next_ms() == wait);
  }
  MirrorSchedule schedule(60'000, 0, 0);
  TimeMs now_ms = 0;
  std::vector<TimeMs> waits;
  for (int i = 0; i < 9; ++i) {
    schedule.started(now_ms);
    schedule.ended(false, true, now_ms, 0.5);
    waits.push_back(schedule.next_ms() - now_ms);
    now_ms = schedule.next_ms();
  }
  CHECK(waits == std::vector<TimeMs>{5'000, 10'000, 20'000, 40'000, 80'000, 160'000, 300'000,
                                     300'000, 300'000});
  schedule.started(now_ms);
  schedule.ended(true, false, now_ms, 0.5);
  CHECK(schedule.failures() == 0);
}

// --- webhooks

// The example of GitHub's documentation, "Validating webhook deliveries".
constexpr const char* kSecret = "It's a Secret to Everybody";
constexpr const char* kBody = "Hello, World!";
constexpr const char* kHmac = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

TEST_CASE("webhooks of GitHub, Gitea and GitLab are authenticated; everything else is not") {
  using enum WebhookVerdict;
  const std::string hub = std::string("sha256=") + kHmac, hmac = kHmac;
  std::string upper = hmac, flipped = hmac;
  std::ranges::transform(upper, upper.begin(), ::toupper);
  flipped[63] = '8';
  struct Row {
    http::Headers headers;
    WebhookVerdict verdict;
  };
  const std::vector<Row> rows = {
      {{{"X-Hub-Signature-256", hub}}, kAuthentic},
      {{{"x-hub-signature-256", hub}}, kAuthentic},
      {{{"X-Gitea-Signature", hmac}}, kAuthentic},
      {{{"X-Hub-Signature-256", hub}, {"X-Gitea-Signature", hmac}}, kAuthentic},
      {{{"X-Gitlab-Token", kSecret}}, kAuthentic},
      {{}, kUnsigned},
      {{{"X-Hub-Signature", "sha1=0"}, {"Authorization", kSecret}}, kUnsigned},
      {{{"X-Hub-Signature-256", ""}}, kForged},
      {{{"X-Hub-Signature-256", hmac}}, kForged},
      {{{"X-Hub-Signature-256", "sha256=" + upper}}, kForged},
      {{{"X-Hub-Signature-256", "sha256=" + flipped}}, kForged},
      {{{"X-Hub-Signature-256", hub.substr(0, 70)}}, kForged},
      {{{"X-Hub-Signature-256", hub + "0"}}, kForged},
      {{{"X-Gitea-Signature", flipped}}, kForged},
      {{{"X-Gitlab-Token", std::string(kSecret) + "x"}}, kForged},
      {{{"X-Gitlab-Token", ""}}, kForged},
      {{{"X-Gitlab-Token", hmac}}, kForged},
      // One that fits does not excuse one that does not.
      {{{"X-Hub-Signature-256", hub}, {"X-Hub-Signature-256", "sha256=" + flipped}}, kForged},
      {{{"X-Gitlab-Token", kSecret}, {"X-Gitea-Signature", flipped}}, kForged},
  };
  for (const Row& row : rows) {
    CAPTURE(row.headers.empty() ? "" : row.headers[0].second);
    CHECK(check_webhook(row.headers, kBody, kSecret) == row.verdict);
  }
  CHECK(check_webhook({{"X-Hub-Signature-256", hub}}, "Hello, World?", kSecret) == kForged);
  CHECK(check_webhook({{"X-Hub-Signature-256", hub}}, kBody, "another secret of it") == kForged);
  CHECK(hooked_mirror("/hook") == "");
  CHECK(hooked_mirror("/hook/shop") == "shop");
}

// --- configuration

struct Written {
  TemporaryFolder folder;
  Result<MirrorsConfig> load(const std::string& mirrors, const std::string& more = "") const {
    const auto file = folder.path() / "mirror.yaml";
    must(write_file(file,
                    "registry: r.internal:7443\nroot: root.envelope\nstate_dir: state\n"
                    "tls: {certificate: a.crt, key: a.key, ca: ca.crt}\n" +
                        more + "mirrors:\n" + mirrors));
    return MirrorsConfig::load(file, {});
  }
};

std::string mirror_yaml(const std::string& more, const std::string& name = "shop",
                        const std::string& ledger = "100000000001/shop") {
  return fmt::format("  - {{name: {}, ledger: {}, repository: \"{}\", {}}}\n", name, ledger,
                     kRepository, more);
}

TEST_CASE("a configuration: defaults, paths from its folder, and what may not be said together") {
  const Written site;
  const MirrorsConfig config =
      must(site.load(mirror_yaml("branch: main, verify: head, allowed_signers: signers, path: a/"),
                     "signing_key: mirror.pem\nwebhook: {secret_file: secret}\n"));
  const MirrorConfig& mirror = config.mirrors.front();
  CHECK(mirror.upstream.allowed_signers == site.folder.path() / "signers");
  CHECK(mirror.signing_key == site.folder.path() / "mirror.pem");
  CHECK(mirror.upstream.path == "a");
  CHECK(mirror.on_rewrite == OnRewrite::kHold);
  CHECK(mirror.interval_ms == 60'000);
  CHECK(mirror.upstream.deadline_ms == 120'000);
  CHECK(mirror.upstream.disk_bytes_max == 1ULL << 30);
  CHECK(mirror.terms.expire_after_s == 86'400);
  CHECK(config.webhook->listen == "127.0.0.1:7454");

  const std::string good = "branch: main, verify: none";
  CHECK(site.load(mirror_yaml(good)));
  CHECK(site.load(mirror_yaml(good) + mirror_yaml(good, "other", "100000000001/other")));
  struct Row {
    std::string mirrors, what;
  };
  const std::vector<Row> rows = {
      {mirror_yaml("branch: main"), "verify"},
      {mirror_yaml("verify: none"), "one of branch and tags"},
      {mirror_yaml("branch: main, tags: v*, verify: none"), "one of branch and tags"},
      {mirror_yaml("branch: main, verify: head"), "allowed_signers"},
      {mirror_yaml("branch: main, verify: tag, allowed_signers: a"), "use tags"},
      {mirror_yaml("branch: main, verify: none, allowed_signers: a"), "no signature"},
      {mirror_yaml("branch: main, verify: none, signers_min: 2"), "no signature"},
      {mirror_yaml("branch: main, verify: maybe"), "verify"},
      {mirror_yaml("branch: main, verify: none, interval_s: 1"), "interval_s"},
      {mirror_yaml(good + ", terms: {stale_after_s: 9, expire_after_s: 5}"), "stale_after_s"},
      {mirror_yaml(good, "../shop"), "name"},
      {mirror_yaml(good) + mirror_yaml(good), "two mirrors are called"},
      {mirror_yaml(good) + mirror_yaml(good, "other"), "two mirrors publish"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.mirrors);
    const auto refused = site.load(row.mirrors);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kConfig);
    CHECK(refused.error().message.contains(row.what));
  }
}

TEST_CASE("a short secret of webhooks, or one that others can read, is refused") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "secret";
  must(write_file(file, "0123456789abcdef\n", 0600));
  CHECK(must(read_webhook_secret(file)) == "0123456789abcdef");
  must(write_file(file, "0123456789abcde\n", 0600));
  CHECK_FALSE(read_webhook_secret(file));
  must(write_file(file, "0123456789abcdef\n", 0644));
  CHECK_FALSE(read_webhook_secret(file));
  CHECK_FALSE(read_webhook_secret(folder.path() / "none"));
}

// --- status

TEST_CASE("a status survives its file; a damaged file is an empty one") {
  const TemporaryFolder folder;
  MirrorStatus status;
  status.tip = {"refs/heads/main", kNew};
  status.head_version = 7;
  status.checked = MirrorChecked{kNew, kHead, kRules, MirrorChecked::Outcome::kInvalid, "bad"};
  status.enter(MirrorState::kHeld, MirrorReason::kRewritten, "look", 1'000);
  must(save_mirror_status(folder.path(), status));
  const MirrorStatus read = load_mirror_status(folder.path());
  CHECK(read.document() == status.document());
  must(write_file(folder.path() / kMirrorStatusFile, "{\"state\": 3}"));
  CHECK(load_mirror_status(folder.path()).state == MirrorState::kUnknown);
}

TEST_CASE("a tip counts once as held, and time behind upstream begins with it") {
  MirrorStatus status;
  status.enter(MirrorState::kHeld, MirrorReason::kSignature, "tip a", 1'000);
  status.enter(MirrorState::kHeld, MirrorReason::kSignature, "tip a", 2'000);
  CHECK(status.holds == 1);
  CHECK(status.since_ms == 1'000);
  status.fail_with({ErrorCode::kUnavailable, "down", {}}, MirrorReason::kUpstream, 3'000);
  CHECK(status.code == "unavailable");
  CHECK(status.behind_since_ms == 1'000);
  CHECK(status.success_ms == 2'000);
  status.enter(MirrorState::kHeld, MirrorReason::kSignature, "tip b", 4'000);
  CHECK(status.holds == 2);
  status.enter(MirrorState::kCurrent, MirrorReason::kNone, "", 5'000);
  CHECK(status.behind_since_ms == 0);
  CHECK(status.failures == 1);
}

}  // namespace
}  // namespace notp::cli
