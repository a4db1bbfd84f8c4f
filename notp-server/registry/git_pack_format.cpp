#include "notp-server/registry/git_pack_format.hpp"

#include <algorithm>
#include <array>

namespace notp::registry::git_pack_format {
namespace {

Bytes big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

}  // namespace

Sha1::Sha1() : context_(EVP_MD_CTX_new()) {
  NOTP_ASSERT(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr) == 1,
              "OpenSSL has SHA-1");
}
void Sha1::update(ByteView bytes) {
  NOTP_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA-1 update");
}
GitId Sha1::finish() {
  GitId id;
  NOTP_ASSERT(EVP_DigestFinal_ex(context_.get(), id.data(), nullptr) == 1, "SHA-1 final");
  return id;
}

ByteView view(const GitId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

Bytes pack_header(uint32_t objects) { return "PACK" + big_endian(2) + big_endian(objects); }

// 4 bits of the size next to the type, then 7 bits per byte.
Bytes entry_header(unsigned type, size_t size) {
  Bytes header;
  auto byte = static_cast<uint8_t>((type << 4) | (size & 0x0f));
  for (size >>= 4; size != 0; size >>= 7) {
    header.push_back(static_cast<char>(byte | 0x80));
    byte = size & 0x7f;
  }
  header.push_back(static_cast<char>(byte));
  return header;
}

// Most significant 7 bits first; each continued byte counts for one more.
Bytes base_distance(uint64_t bytes) {
  Bytes out(1, static_cast<char>(bytes & 0x7f));
  while ((bytes >>= 7) != 0) out.insert(out.begin(), static_cast<char>(0x80 | (--bytes & 0x7f)));
  return out;
}

uint32_t crc_of(uint32_t crc, ByteView bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Bytes pack_index(std::vector<IndexedEntry> entries, const GitId& pack_checksum) {
  std::ranges::sort(entries, {}, &IndexedEntry::id);
  std::array<uint32_t, 256> up_to{};
  for (const IndexedEntry& entry : entries) ++up_to[entry.id[0]];
  for (size_t i = 1; i < up_to.size(); ++i) up_to[i] += up_to[i - 1];
  Bytes index = "\xfftOc" + big_endian(2);
  for (const uint32_t count : up_to) index += big_endian(count);
  for (const IndexedEntry& entry : entries) index += view(entry.id);
  for (const IndexedEntry& entry : entries) index += big_endian(entry.crc);
  for (const IndexedEntry& entry : entries) index += big_endian(entry.offset);
  index += view(pack_checksum);
  Sha1 checksum;
  checksum.update(index);
  index += view(checksum.finish());
  return index;
}

Result<void> Deflater::start(int level) {
  ready_ = deflateInit(&stream_, level) == Z_OK;
  if (!ready_) return fail(ErrorCode::kInternal, "zlib cannot be initialised");
  return {};
}

}  // namespace notp::registry::git_pack_format
