// What is signed about a log: checkpoints and announcements.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/crypto/x509.hpp"
#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "schemas/record.pb.h"

using namespace notp;
using namespace notp::record;

namespace {

constexpr std::string_view kNode = "spiffe://core-platform.internal/node/edge-1";

const PrivateKey& log_key() {
  static const PrivateKey key = PrivateKey::from_seed({4, 5, 6});
  return key;
}
const PublicKey kKey = log_key().public_key();

Checkpoint a_checkpoint() { return {log_origin(kNode, LogId::of(kKey)), 1'024, sha256("root")}; }

ErrorCode error_of(std::string_view note) {
  const auto checkpoint = verify_checkpoint(note, kKey);
  return checkpoint ? ErrorCode{} : checkpoint.error().code;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

// --- announcements

x509::Key key_of(std::string_view kind) {
  if (kind == "rsa") return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2'048}));
  if (kind == "rsa-1024")
    return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1'024}));
  if (kind == "p384") return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"));
  if (kind == "k1") return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "secp256k1"));
  auto key = x509::make_key(kind == "ed25519" ? x509::KeyType::kEd25519 : x509::KeyType::kP256);
  REQUIRE(key);
  return *std::move(key);
}

Bytes certificate_of(EVP_PKEY* key, std::vector<std::string> uris) {
  x509::Draft draft;
  draft.common_name = "edge-1";
  draft.uris = std::move(uris);
  draft.not_after_ms = 3'600'000;
  const auto certificate = x509::sign_own(draft, key);
  REQUIRE(certificate);
  return *x509::der_of(certificate->get());
}

AnnouncementSigner signer_of(EVP_PKEY* key, std::vector<std::string> uris = {std::string(kNode)}) {
  return {{certificate_of(key, std::move(uris)), "an intermediate"},
          [key](ByteView message) { return x509::sign_message(key, message); }};
}

Announcement an_announcement() {
  return {"core-platform.internal",
          std::string(kNode),
          kKey,
          1'767'225'600'000,
          LogId::of(PrivateKey::from_seed({7}).public_key()),
          "the spool was lost"};
}

ErrorCode announcement_error(ByteView bytes) {
  const auto announcement = verify_announcement(bytes);
  return announcement ? ErrorCode{} : announcement.error().code;
}

// The same with one part changed by hand.
Bytes changed(ByteView bytes, auto change) {
  v1::SignedAnnouncement m;
  REQUIRE(m.ParseFromString(Bytes(bytes)));
  change(m);
  return m.SerializeAsString();
}

}  // namespace

TEST_CASE("a log is named by its node and its id") {
  const LogId log = LogId::of(kKey);
  CHECK(log_origin(kNode, log) == "core-platform.internal/decisions/node/edge-1/" + log.hex());
  CHECK(log_origin("spiffe://a.b/ns/shop/sa/till", log) ==
        "a.b/decisions/ns/shop/sa/till/" + log.hex());
}

TEST_CASE("a checkpoint is signed, verified and read") {
  const Checkpoint checkpoint = a_checkpoint();
  const std::string note = sign_checkpoint(checkpoint, log_key());
  CHECK(note.starts_with(fmt::format("{}\n1024\n{}\n\n— {} ", checkpoint.origin,
                                     to_base64(checkpoint.root.view()), checkpoint.origin)));
  const auto read = verify_checkpoint(note, kKey);
  REQUIRE(read);
  CHECK(*read == checkpoint);
  CHECK(parse_checkpoint(note) == checkpoint);
  CHECK(parse_checkpoint(sign_checkpoint(checkpoint, PrivateKey::from_seed({8}))) == checkpoint);
  CHECK(error_of(sign_checkpoint(checkpoint, PrivateKey::from_seed({8}))) == ErrorCode::kSignature);
  const Checkpoint empty{"a", 0, sha256("")};
  CHECK(verify_checkpoint(sign_checkpoint(empty, log_key()), kKey) == empty);
}

TEST_CASE("signatures of others in a note are skipped, a wrong one of the key is not") {
  const Checkpoint checkpoint = a_checkpoint();
  const std::string note = sign_checkpoint(checkpoint, log_key());
  const size_t blank = note.find("\n\n") + 2;
  const std::string text = note.substr(0, blank), own = note.substr(blank);
  const std::string witness = "— witness.example/w1 " + to_base64(Bytes(76, 'w')) + "\n";
  CHECK(error_of(text + witness + own) == ErrorCode{});
  CHECK(error_of(text + own + witness + witness) == ErrorCode{});
  CHECK(error_of(text + witness) == ErrorCode::kSignature);
  CHECK(error_of(text + replaced(own, checkpoint.origin, "other")) == ErrorCode::kSignature);
  const std::string other = sign_checkpoint({checkpoint.origin, 1'025, checkpoint.root}, log_key());
  CHECK(error_of(text + other.substr(other.find("\n\n") + 2)) == ErrorCode::kSignature);
  CHECK(error_of(text + other.substr(other.find("\n\n") + 2) + own) == ErrorCode::kSignature);
}

TEST_CASE("what is not a checkpoint is refused") {
  const Checkpoint checkpoint = a_checkpoint();
  const std::string note = sign_checkpoint(checkpoint, log_key());
  const std::string root = to_base64(checkpoint.root.view());
  for (const std::string& bad : {std::string(),
                                 std::string("\n\n"),
                                 replaced(note, "\n1024\n", "\n01024\n"),
                                 replaced(note, "\n1024\n", "\n+1024\n"),
                                 replaced(note, "\n1024\n", "\n-1\n"),
                                 replaced(note, "\n1024\n", "\n\n"),
                                 replaced(note, "\n1024\n", "\n1024 \n"),
                                 replaced(note, "\n1024\n", "\n281474976710656\n"),
                                 replaced(note, "\n1024\n", "\n99999999999999999999\n"),
                                 replaced(note, root, root + "\nan extension"),
                                 replaced(note, root, root.substr(1)),
                                 replaced(note, root, " " + root),
                                 replaced(note, root, to_base64(Bytes(33, 'r'))),
                                 replaced(note, "core-platform", "core platform"),
                                 replaced(note, "core-platform", "core+platform"),
                                 replaced(note, "core-platform", "core\x01platform"),
                                 replaced(note, "core-platform", "core\xffplatform"),
                                 replaced(note, "— ", "- "),
                                 note.substr(0, note.size() - 1),
                                 note + "\n",
                                 note + "x\n",
                                 note.substr(0, note.find("\n\n") + 2),
                                 note + std::string(limits::kCheckpointBytesMax, 'x')}) {
    CAPTURE(bad.substr(0, 200));
    CHECK(error_of(bad) == ErrorCode::kMessage);
    CHECK_FALSE(parse_checkpoint(bad));
  }
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string flipped = note;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    CHECK(error_of(flipped) != ErrorCode{});
  }
}

TEST_CASE("an announcement is signed with the certificate's key, whatever its kind") {
  for (const std::string_view kind : {"p256", "p384", "ed25519", "rsa"}) {
    CAPTURE(kind);
    const x509::Key key = key_of(kind);
    const auto bytes = sign_announcement(an_announcement(), signer_of(key.get()));
    REQUIRE(bytes);
    const auto read = verify_announcement(*bytes);
    REQUIRE_MESSAGE(read, read.error().message);
    CHECK(*read == an_announcement());
  }
  Announcement first = an_announcement();
  first.previous.reset();
  first.reason.clear();
  const x509::Key key = key_of("p256");
  CHECK(verify_announcement(*sign_announcement(first, signer_of(key.get()))) == first);
  for (const std::string_view kind : {"k1", "rsa-1024"}) {
    CAPTURE(kind);
    const x509::Key weak = key_of(kind);
    const auto bytes = sign_announcement(an_announcement(), signer_of(weak.get()));
    REQUIRE(bytes);
    CHECK(announcement_error(*bytes) == ErrorCode::kSignature);
  }
}

TEST_CASE("an announcement of another node, by another key or changed is refused") {
  const x509::Key key = key_of("ed25519"), stranger = key_of("ed25519");
  const std::string node(kNode);
  const auto error_by = [&](const AnnouncementSigner& signer) {
    return announcement_error(*sign_announcement(an_announcement(), signer));
  };
  CHECK(error_by(signer_of(key.get(), {node + "0"})) == ErrorCode::kIdentity);
  CHECK(error_by(signer_of(key.get(), {})) == ErrorCode::kIdentity);
  CHECK(error_by(signer_of(key.get(), {node, node})) == ErrorCode::kIdentity);
  AnnouncementSigner other = signer_of(key.get());
  other.sign = signer_of(stranger.get()).sign;
  CHECK(error_by(other) == ErrorCode::kSignature);
  other = signer_of(key.get());
  other.certificates[0] += '\0';
  CHECK(error_by(other) == ErrorCode::kMessage);
  other.certificates.clear();
  CHECK(error_by(other) == ErrorCode::kMessage);
  other = signer_of(key.get());
  other.sign = [&](ByteView message) {  // of a message without the tag
    return x509::sign_message(key.get(), message.substr(31));
  };
  CHECK(error_by(other) == ErrorCode::kSignature);

  const Bytes good = *sign_announcement(an_announcement(), signer_of(key.get()));
  REQUIRE(announcement_error(good) == ErrorCode{});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes flipped = good;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    // The signature covers neither the certificates behind the first nor the rest of the first.
    if (const auto read = verify_announcement(flipped)) CHECK(*read == an_announcement());
  }
  for (size_t size = 0; size < good.size(); ++size)
    CHECK(announcement_error(ByteView(good).substr(0, size)) != ErrorCode{});
}

TEST_CASE("an announcement in another encoding, or that breaks a rule, is refused") {
  const x509::Key key = key_of("ed25519");
  const Bytes good = *sign_announcement(an_announcement(), signer_of(key.get()));
  CHECK(announcement_error(good + Bytes("\x22\x00", 2)) == ErrorCode::kMessage);  // unknown
  CHECK(announcement_error(good + Bytes("\x1a\x00", 2)) == ErrorCode::kMessage);  // twice
  CHECK(announcement_error("") == ErrorCode::kMessage);
  CHECK(announcement_error(Bytes(limits::kAnnouncementBytesMax + 1, '\0')) == ErrorCode::kMessage);
  // A payload that is signed and still not one.
  const auto signed_payload = [&](auto change) {
    return announcement_error(changed(good, [&](v1::SignedAnnouncement& m) {
      v1::Announcement payload;
      REQUIRE(payload.ParseFromString(m.payload()));
      Bytes after;
      change(payload, after);
      m.set_payload(payload.SerializeAsString() + after);
      m.set_signature(*x509::sign_message(
          key.get(), Bytes("notp.decisions.announcement.v1\0", 31) + m.payload()));
    }));
  };
  CHECK(signed_payload([](auto&, auto&) {}) == ErrorCode{});
  CHECK(signed_payload([](auto&, auto& after) { after = "\x38\x01"; }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_log_key("x"); }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_previous("x"); }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_previous(Bytes(LogId::of(kKey).view())); }) ==
        ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_created_ms(0); }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_created_ms(-1); }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_node("edge-1"); }) == ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_trust_domain("other.domain"); }) ==
        ErrorCode::kMessage);
  CHECK(signed_payload([](auto& m, auto&) { m.set_reason("another"); }) == ErrorCode{});

  AnnouncementSigner large = signer_of(key.get());
  large.certificates.push_back(Bytes(limits::kAnnouncementBytesMax, 'c'));
  CHECK(sign_announcement(an_announcement(), large).error().code == ErrorCode::kLimit);
  AnnouncementSigner failing = signer_of(key.get());
  failing.sign = [](ByteView) -> Result<Bytes> { return fail(ErrorCode::kIo, "no key"); };
  CHECK(sign_announcement(an_announcement(), failing).error().code == ErrorCode::kIo);
}
