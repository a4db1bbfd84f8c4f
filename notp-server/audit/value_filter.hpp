// Bloom filters over the strings and numbers of a segment's inputs and results: whether a segment
// can hold a value is known without reading it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/bytes.hpp"

namespace notp::audit {

// XXH3-64 of a string's text, without escapes, or of a number's digits as they are written.
uint64_t value_hash(ByteView text);

// 10 bits for each distinct value, 7 of them set, at most kFilterBytesMax: one of 120 foreign
// values seems to be there, more in a filter of the maximum size. One thread.
class FilterBuilder {
 public:
  FilterBuilder();
  void add(ByteView value);
  // Adds each string and number of a JSON text, as visit_json_values() finds them.
  void add_json(ByteView json);
  // Empty when nothing was added. The builder is used up.
  Bytes build() &&;

 private:
  void insert(uint64_t hash);
  void grow();

  std::vector<uint64_t> table_;  // open addressing; 0: free
  size_t used_ = 0;
  Bytes bits_;  // of the maximum size, once there are too many values for the table
  Bytes scratch_;
};

// False: the value was not added. Any bytes are accepted as a filter.
bool may_hold(ByteView filter, uint64_t hash);

}  // namespace notp::audit
