#include "protocol/record/log_id.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::record {
namespace {

using Uuid = std::array<uint8_t, 16>;

// In a UUID of version 8: 48 free bits, the version, 12 free bits, the variant, 62 free bits.
constexpr size_t kVersionAt = 6, kVariantAt = 8;
constexpr uint8_t kVersion = 8, kVariant = 0b10;
constexpr unsigned kCheckBits = 14, kPositionBits = 48;
constexpr uint64_t kCheckMask = (1U << kCheckBits) - 1;
constexpr size_t kTextBytes = 36;

bool is_hyphen_place(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

constexpr uint64_t crc_step(uint64_t crc, uint64_t bit) {
  constexpr uint64_t kPolynomial = 0x202D;
  const bool differs = (crc >> (kCheckBits - 1)) != bit;
  return (crc << 1 & kCheckMask) ^ (differs ? kPolynomial : 0);
}

// The effect of a whole byte, by its value.
constexpr auto kCrcTable = [] {
  std::array<uint16_t, 256> table{};
  for (size_t value = 0; value < table.size(); ++value) {
    uint64_t crc = value << (kCheckBits - 8);
    for (int i = 0; i < 8; ++i) crc = crc_step(crc, 0);
    table[value] = static_cast<uint16_t>(crc);
  }
  return table;
}();

// CRC-14/GSM over the 114 bits before the check. It finds every change within 14 neighbouring bits:
// any one character, and any two next to each other.
uint64_t check_of(const Uuid& uuid) {
  constexpr size_t kWholeBytes = 14;
  uint64_t crc = 0;
  for (size_t i = 0; i < kWholeBytes; ++i)
    crc = (crc << 8 & kCheckMask) ^ kCrcTable[crc >> (kCheckBits - 8) ^ uuid[i]];
  crc = crc_step(crc, uuid[kWholeBytes] >> 7);
  crc = crc_step(crc, uuid[kWholeBytes] >> 6 & 1);
  return crc ^ kCheckMask;
}

void put_big_endian(uint8_t* at, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) at[i] = static_cast<uint8_t>(value >> (56 - 8 * i));
}

uint64_t big_endian(const uint8_t* at) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | at[i];
  return value;
}

Uuid uuid_of(const DecisionAddress& address) {
  Uuid uuid{};
  std::ranges::copy(address.log_prefix, uuid.begin());
  uuid[kVersionAt] = static_cast<uint8_t>(kVersion << 4 | address.run >> 8);
  uuid[kVersionAt + 1] = static_cast<uint8_t>(address.run);
  const uint64_t tail = uint64_t{kVariant} << 62 | address.position << kCheckBits;
  put_big_endian(&uuid[kVariantAt], tail);
  put_big_endian(&uuid[kVariantAt], tail | check_of(uuid));
  return uuid;
}

std::optional<Uuid> uuid_of(std::string_view text) {
  if (text.size() != kTextBytes) return std::nullopt;
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_hyphen_place(i) != (text[i] == '-')) return std::nullopt;
    if (text[i] != '-') digits += text[i];
  }
  const auto bytes = from_hex(digits);
  if (!bytes) return std::nullopt;
  Uuid uuid;
  std::ranges::copy(*bytes, reinterpret_cast<char*>(uuid.data()));
  return uuid;
}

}  // namespace

LogId LogId::of(const PublicKey& log_key) {
  LogId id;
  const Hash hash = sha256(log_key.view());
  std::copy_n(hash.bytes.begin(), kSize, id.bytes.begin());
  return id;
}

Result<LogId> LogId::from_bytes(ByteView view) {
  if (view.size() != kSize)
    return fail(ErrorCode::kMessage,
                fmt::format("a log id has {} bytes, this has {}", kSize, view.size()));
  LogId id;
  std::ranges::copy(view, reinterpret_cast<char*>(id.bytes.data()));
  return id;
}

Result<LogId> LogId::from_hex(std::string_view text) {
  NOTP_ASSIGN(const Bytes bytes, notp::from_hex(text));
  return from_bytes(bytes);
}

DecisionAddress DecisionAddress::of(const LogId& log, uint32_t run, Position position) {
  NOTP_ASSERT(run <= limits::kRunMax && position <= limits::kPositionMax,
              "a record's place fits its address");
  DecisionAddress out;
  std::copy_n(log.bytes.begin(), out.log_prefix.size(), out.log_prefix.begin());
  out.run = run;
  out.position = position;
  return out;
}

std::optional<DecisionAddress> DecisionAddress::parse(std::string_view text) {
  const auto uuid = uuid_of(text);
  if (!uuid) return std::nullopt;
  const uint64_t tail = big_endian(&(*uuid)[kVariantAt]);
  if ((*uuid)[kVersionAt] >> 4 != kVersion || tail >> 62 != kVariant ||
      (tail & kCheckMask) != check_of(*uuid))
    return std::nullopt;
  DecisionAddress out;
  std::copy_n(uuid->begin(), out.log_prefix.size(), out.log_prefix.begin());
  out.run = ((*uuid)[kVersionAt] & 0xFU) << 8 | (*uuid)[kVersionAt + 1];
  out.position = tail >> kCheckBits & ((1ULL << kPositionBits) - 1);
  return out;
}

std::string DecisionAddress::text() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(kTextBytes);
  for (const uint8_t byte : uuid_of(*this)) {
    if (is_hyphen_place(out.size())) out += '-';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 0xF];
  }
  return out;
}

}  // namespace notp::record
