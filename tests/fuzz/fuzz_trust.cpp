// A registry, publishers and root key holders, any of whom may be an attacker with any keys: the
// input chooses the statements and their signers; they are then really signed and verified. The
// trusted state afterwards must be one that the signers were allowed to state, computed here from
// the key numbers, and must never go back.
#include <algorithm>
#include <optional>
#include <tuple>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;

constexpr size_t kUpdatesMax = 12;

// The keys that any party may hold: bit i of a mask is key i + 1. 1 to 4 are candidates for root
// keys, 4 to 6 for publishers, 7 and 8 for freshness; the sets overlap on purpose.
constexpr unsigned kKeys = 8;

const PrivateKey& key_of(unsigned bit) {
  static const auto keys = [] {
    std::vector<PrivateKey> out;
    for (unsigned i = 0; i < kKeys; ++i) out.push_back(samples::key(static_cast<uint8_t>(i + 1)));
    return out;
  }();
  return keys[bit];
}

const PublicKey& public_of(unsigned bit) {
  static const auto keys = [] {
    std::vector<PublicKey> out;
    for (unsigned i = 0; i < kKeys; ++i) out.push_back(key_of(i).public_key());
    return out;
  }();
  return keys[bit];
}

std::vector<PublicKey> keys_in(uint8_t mask) {
  std::vector<PublicKey> out;
  for (unsigned i = 0; i < kKeys; ++i)
    if (mask >> i & 1) out.push_back(public_of(i));
  return out;
}

size_t signers_among(uint8_t signers, const std::vector<PublicKey>& keys) {
  size_t count = 0;
  for (unsigned i = 0; i < kKeys; ++i)
    if ((signers >> i & 1) && std::ranges::count(keys, public_of(i)) > 0) ++count;
  return count;
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  // -2 to 5, mostly the next number: typical offsets that an attacker would use.
  uint64_t near(uint64_t known) {
    const uint8_t choice = byte();
    if (choice == 255) return limits::kVersionMax;
    if (choice == 254) return UINT64_MAX;
    return known + choice % 8 - 2;
  }
  TimeMs near_ms(TimeMs known) { return known + (static_cast<TimeMs>(byte()) - 128) * 15'000; }

 private:
  const uint8_t* data_;
  size_t size_;
};

struct Signed {
  Bytes envelope;
  uint8_t signers = 0;
};

model::LedgerId ledger_of(uint8_t choice) {
  return {273165098782, choice % 2 == 0 ? "orders" : "payments"};
}

class World {
 public:
  explicit World(Input input) : in_(input), clock_(0, {samples::kIssuedMs, 0}) {
    trust::Root root = samples::root();
    root.root_keys = keys_in(0b0111);
    root.root_threshold = 2;
    root.delegations = {{"*/*", keys_in(0b111000), 1}};
    root.freshness_keys = {public_of(6)};
    trusted_ = samples::trusting(root);
    for (const uint8_t choice : {0, 1}) trusted_.ledgers[ledger_of(choice)] = {};
  }

  void run() {
    for (size_t i = 0; i < kUpdatesMax && !in_.empty(); ++i) step();
  }

 private:
  void step() {
    pass_time();
    const uint8_t parts = in_.byte();
    trust::Update update;
    std::vector<Signed> roots(parts & 3);
    uint64_t version = trusted_.root->version;
    for (Signed& root : roots) root = make_root(version++);
    for (const Signed& root : roots) update.root_chain.push_back(root.envelope);
    std::optional<Signed> freshness, release, assignment;
    if (parts & 128) update.assignment = assignment.emplace(make_assignment()).envelope;
    if (parts & 4) update.freshness = freshness.emplace(make_freshness()).envelope;
    if (parts & 8) update.expected = {ledger_of(parts >> 6)};
    if (parts & 16) {
      update.release_ledger = ledger_of(parts >> 5);
      update.release = release.emplace(make_release(*update.release_ledger)).envelope;
    }
    std::vector<trust::VerifyStep> steps;
    const trust::Verdict verdict = trust::verify_update(update, trusted_, now_ms_, &steps);
    for (size_t i = 0; i < steps.size(); ++i)
      NOTP_ASSERT(steps[i].passed || (verdict.error && i + 1 == steps.size()), "a check ignored");
    check_roots(verdict, roots);
    if (verdict.assignment) check_assignment(verdict, assignment->signers);
    if (verdict.freshness) check_freshness(verdict, update, freshness->signers);
    if (verdict.release) check_release(verdict, *update.release_ledger, release->signers);
    move_on(verdict, update);
  }

  void pass_time() {
    now_.boot_ms += in_.byte() * 10'000;
    now_.wall_ms = in_.near_ms(samples::kIssuedMs + now_.boot_ms);
    const TimeMs before = now_ms_;
    now_ms_ = clock_.now_ms(now_);
    NOTP_ASSERT(now_ms_ >= before && now_ms_ >= now_.wall_ms, "trusted time went back");
  }

  // ---- statements of any party

  template <typename Statement>
  Signed sign(const Statement& statement) {
    Signed out{{}, in_.byte()};
    trust::Envelope envelope = trust::envelope_of(statement);
    for (unsigned i = 0; i < kKeys; ++i)
      if (out.signers >> i & 1) trust::sign_envelope(envelope, key_of(i));
    const uint8_t harm = in_.byte();
    // One key under several key ids, and other keys' ids.
    if (harm & 1 && !envelope.signatures.empty())
      envelope.signatures.push_back({envelope.signatures[0].signature, public_of(1).keyid()});
    out.envelope = envelope.encode();
    if (harm & 2) out.envelope[harm * 37U % out.envelope.size()] ^= static_cast<char>(harm | 1);
    return out;
  }

  Signed make_root(uint64_t known_version) {
    trust::Root root = *trusted_.root;
    root.version = in_.near(known_version + 1);
    root.epoch = in_.near(root.epoch);
    const uint8_t keys = in_.byte();
    if (keys != 0) root.root_keys = keys_in(keys & 15);
    root.root_threshold = in_.byte() % 5;
    const uint8_t publishers = in_.byte();
    if (publishers != 0) root.delegations = {{"*/*", keys_in(publishers), 1U + publishers % 3}};
    const uint8_t online = in_.byte();
    if (online != 0) root.freshness_keys = {public_of(online % kKeys)};
    if (online == 255) root.freshness_keys.clear();
    if (in_.byte() == 1) root.expires_ms = now_ms_ + 60'000;
    return sign(root);
  }

  Signed make_assignment() {
    const uint8_t choice = in_.byte();
    const uint64_t last = trusted_.assignment ? trusted_.assignment->sequence : 0;
    trust::Assignment assignment =
        samples::assignment(in_.near(last), samples::class_id(choice >> 1 & 1));
    if (choice & 1) assignment.audience += "0";
    assignment.root_version = in_.near(trusted_.root->version);
    assignment.issued_ms = in_.near_ms(now_ms_);
    assignment.expires_ms = assignment.issued_ms + in_.byte() * 60'000;
    return sign(assignment);
  }

  Signed make_freshness() {
    const uint8_t choice = in_.byte();
    trust::Freshness statement = samples::freshness(in_.near(trusted_.freshness_sequence), {});
    if (choice & 1) statement.audience += "0";
    if (choice & 8) {
      statement.class_id = samples::class_id(choice >> 4 & 1);
      statement.audience.clear();
    }
    statement.root_version = in_.near(trusted_.root->version);
    statement.issued_ms = in_.near_ms(now_ms_);
    statement.expires_ms = statement.issued_ms + in_.byte() * 60'000;
    for (const uint8_t ledger : {0, 1})
      if (!(choice >> (ledger + 1) & 1)) statement.heads.push_back(make_head(ledger_of(ledger)));
    return sign(statement);
  }

  trust::FreshHead make_head(const model::LedgerId& ledger) {
    const trust::LedgerTrust& known = trusted_.ledgers[ledger];
    const trust::Floor& above = std::max(known.floor, known.listed);
    const uint8_t choice = in_.byte();
    trust::FreshHead head{ledger, above.epoch, above.version, above.release_hash, {}};
    if (choice & 1) {
      const uint64_t version = in_.near(above.version);
      head = samples::head_of(release_of(ledger, version, in_.byte()));
    }
    if (choice & 2) head.withdrawn = {head.release_hash};
    return head;
  }

  // `twin` changes the content: two releases of one version.
  trust::Release release_of(const model::LedgerId& ledger, uint64_t version, uint8_t twin) const {
    trust::Release release = samples::release(version);
    release.ledger = ledger;
    release.epoch = trusted_.root->epoch;
    release.content_root.bytes[0] = twin % 2;
    const trust::Floor& floor = trusted_.ledgers.at(ledger).floor;
    if (floor.version + 1 == version && twin < 128 && !floor.release_hash.is_zero())
      release.previous_hash = floor.release_hash;
    return release;
  }

  Signed make_release(const model::LedgerId& asked_for) {
    const trust::Floor& floor = trusted_.ledgers[asked_for].floor;
    const uint8_t choice = in_.byte();
    const model::LedgerId ledger = choice == 255 ? ledger_of(choice >> 1) : asked_for;
    const uint64_t version = in_.near(floor.version);
    trust::Release release = release_of(ledger, version, in_.byte());
    if (choice & 1) release.epoch = in_.near(release.epoch);
    if (choice & 2) release.expires_ms = in_.near_ms(now_ms_);
    return sign(release);
  }

  // ---- invariants

  void check_roots(const trust::Verdict& verdict, const std::vector<Signed>& roots) const {
    const trust::Root* old = trusted_.root.get();
    NOTP_ASSERT(verdict.root_chain.size() <= roots.size(), "roots from nowhere");
    for (size_t i = 0; i < verdict.root_chain.size(); ++i) {
      const trust::Root& next = *verdict.root_chain[i].root;
      NOTP_ASSERT(next.version == old->version + 1 && next.epoch >= old->epoch, "a root fell");
      const uint8_t signers = roots[i].signers;
      NOTP_ASSERT(signers_among(signers, old->root_keys) >= old->root_threshold, "old threshold");
      NOTP_ASSERT(signers_among(signers, next.root_keys) >= next.root_threshold, "new threshold");
      old = &next;
    }
  }

  const trust::Root& root_after(const trust::Verdict& verdict) const {
    return verdict.root_chain.empty() ? *trusted_.root : *verdict.root_chain.back().root;
  }

  void check_assignment(const trust::Verdict& verdict, uint8_t signers) const {
    const trust::Assignment& assignment = verdict.assignment->assignment;
    NOTP_ASSERT(signers_among(signers, root_after(verdict).freshness_keys) >= 1,
                "an assignment of a stranger");
    NOTP_ASSERT(assignment.audience == trusted_.audience, "an assignment of another");
    const bool is_first = verdict.freshness_key_changed || !trusted_.assignment;
    NOTP_ASSERT(is_first || assignment == *trusted_.assignment ||
                    assignment.sequence > trusted_.assignment->sequence,
                "an assignment fell");
    NOTP_ASSERT(assignment.expires_ms > now_ms_, "an expired assignment");
    NOTP_ASSERT(assignment.issued_ms <= now_ms_ + limits::kClockSkewMs, "one of tomorrow");
  }

  void check_reader(const trust::Verdict& verdict, const trust::Freshness& statement) const {
    if (!statement.class_id) {
      NOTP_ASSERT(statement.audience == trusted_.audience, "freshness for another");
      return;
    }
    const trust::Assignment* own = nullptr;
    if (trusted_.assignment && !verdict.freshness_key_changed) own = &*trusted_.assignment;
    if (verdict.assignment) own = &verdict.assignment->assignment;
    NOTP_ASSERT(own && own->class_id == *statement.class_id, "freshness for another class");
    NOTP_ASSERT(own->expires_ms > now_ms_, "a class of yesterday");
  }

  void check_freshness(const trust::Verdict& verdict, const trust::Update& update,
                       uint8_t signers) {
    const trust::Freshness& statement = verdict.freshness->freshness;
    const trust::Root& root = root_after(verdict);
    NOTP_ASSERT(signers_among(signers, root.freshness_keys) >= 1, "freshness of a stranger");
    check_reader(verdict, statement);
    NOTP_ASSERT(verdict.freshness_key_changed || statement.sequence > trusted_.freshness_sequence,
                "freshness again");
    NOTP_ASSERT(statement.expires_ms > now_ms_, "expired freshness");
    NOTP_ASSERT(statement.issued_ms <= now_ms_ + limits::kClockSkewMs, "freshness of tomorrow");
    for (const model::LedgerId& ledger : update.expected)
      NOTP_ASSERT(verdict.freshness->listed.contains(ledger), "a ledger vanished");
    for (const auto& [ledger, listed] : verdict.freshness->listed) {
      const trust::LedgerTrust& known = trusted_.ledgers.at(ledger);
      check_above(listed, known.floor);
      if (!verdict.freshness_key_changed) check_above(listed, known.listed);
    }
    check_wire(statement);
  }

  static void check_above(const trust::Floor& found, const trust::Floor& known) {
    NOTP_ASSERT(std::tie(found.epoch, found.version) >= std::tie(known.epoch, known.version),
                "a version fell");
    NOTP_ASSERT(std::tie(found.epoch, found.version) > std::tie(known.epoch, known.version) ||
                    found.release_hash == known.release_hash,
                "two releases of one version");
  }

  void check_release(const trust::Verdict& verdict, const model::LedgerId& ledger,
                     uint8_t signers) const {
    const trust::Release& release = verdict.release->release();
    const trust::Root& root = root_after(verdict);
    const trust::Delegation* delegation = root.delegation_for(ledger);
    NOTP_ASSERT(delegation && signers_among(signers, delegation->keys) >= delegation->threshold,
                "a release of a stranger");
    NOTP_ASSERT(release.ledger == ledger && release.epoch <= root.epoch, "another release");
    NOTP_ASSERT(release.expires_ms == 0 || release.expires_ms > now_ms_, "an expired release");
    check_above({release.epoch, release.version, verdict.release->ref.release_hash},
                trusted_.ledgers.at(ledger).floor);
  }

  // The statement is restored from its difference to the last one, and never from a damaged
  // difference.
  void check_wire(const trust::Freshness& statement) {
    const bool same_readers = last_ && last_->class_id == statement.class_id;
    const trust::Freshness* base = same_readers ? &*last_ : nullptr;
    wire::FreshnessUpdate update = session::make_freshness_update(statement, Bytes(64, 's'), base);
    const auto expand = [&] {
      return session::expand_freshness_update(update, base, samples::kDomain, samples::kNode,
                                              statement.class_id);
    };
    const auto same = expand();
    NOTP_ASSERT(same && same->payload == statement.encode(), "another statement came out");
    harm(update);
    if (const auto harmed = expand())
      NOTP_ASSERT(trust::Freshness::decode(*harmed), "an impossible statement came out");
    last_ = statement;
  }

  void harm(wire::FreshnessUpdate& update) {
    const uint8_t how = in_.byte();
    if (how & 1) update.sequence = in_.near(update.sequence);
    if (how & 2) update.base_sequence = in_.near(update.base_sequence);
    if (how & 4) update.issued_ms = static_cast<TimeMs>(in_.near(0));
    if (how & 8) update.lifetime_ms = in_.near(update.lifetime_ms);
    if (how & 16) update.root_version = in_.near(0);
    if (how & 32) update.gone.push_back(ledger_of(in_.byte()));
    if (how & 64) update.heads.push_back({ledger_of(in_.byte()), 1, in_.near(1), {}, {}});
    if (how & 128) update.signature.resize(in_.byte());
  }

  void move_on(const trust::Verdict& verdict, const trust::Update& update) {
    const trust::Trusted before = trusted_;
    trust::advance(trusted_, verdict);
    NOTP_ASSERT(trusted_.root->version >= before.root->version, "the root fell");
    NOTP_ASSERT(
        trusted_.freshness_sequence >= before.freshness_sequence || verdict.freshness_key_changed,
        "the sequence fell");
    NOTP_ASSERT(trusted_.ledgers.size() == before.ledgers.size(), "ledgers that nobody asked for");
    if (!verdict.release) return;
    const trust::Release& release = verdict.release->release();
    trust::advance_floor(trusted_, *update.release_ledger,
                         {release.epoch, release.version, verdict.release->ref.release_hash});
    check_age(release);
  }

  void check_age(const trust::Release& release) const {
    const trust::FreshnessTerms terms{release.fresh_s, release.hard_s, release.on_hard};
    const trust::Age age = trust::age_of(terms, release.issued_ms, now_ms_);
    if (age.next_change_ms == kNever) return;
    NOTP_ASSERT(age.next_change_ms > now_ms_, "a change in the past");
    NOTP_ASSERT(
        trust::age_of(terms, release.issued_ms, age.next_change_ms - 1).state == age.state &&
            trust::age_of(terms, release.issued_ms, age.next_change_ms).state != age.state,
        "a change at another time than said");
  }

  Input in_;
  trust::Trusted trusted_;
  trust::TrustedClock clock_;
  Now now_{samples::kIssuedMs, 0};
  TimeMs now_ms_ = samples::kIssuedMs;
  std::optional<trust::Freshness> last_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World(Input(data, size)).run();
  return 0;
}
