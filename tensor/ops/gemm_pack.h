// Packing: operands of a matrix product copied into the order of the kernel, in words (gemm_elements.h).
// Internal to tensor/ops/gemm*.
//
// A by rows or, where it lies so and the kernel takes it, across them; B in panels of columns. What lies the
// other way round is turned over in squares of 16 x 16 words (fewer where vectors are short).
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "tensor/check.h"
#include "tensor/ops/gemm.h"
#include "tensor/ops/gemm_kernel.h"

namespace dlcm::cpu {

template <class E>
inline constexpr int64_t kSquare = std::min<int64_t>(16, kKernelColumns<E>);

template <class Word, int64_t kSize>
struct Square {
  alignas(64) Word words[kSize][kSize];

  void transpose() {
    for (int64_t i = 0; i < kSize; ++i) {
      for (int64_t j = 0; j < i; ++j) std::swap(words[i][j], words[j][i]);
    }
  }
};
template <class E>
using SquareOf = Square<typename E::Word, kSquare<E>>;

#if defined(__AVX512F__)
// A square of 32-bit words whose lines are vectors; they are only moved.
template <class Word>
void transpose_in_registers(Word (&words)[16][16]) {
  detail::Simd<float>::Vector rows[16];
  std::memcpy(rows, words, sizeof(rows));
  transpose_square<float>(rows);
  std::memcpy(words, rows, sizeof(rows));
}
template <>
inline void Square<float, 16>::transpose() {
  transpose_in_registers(words);
}
template <>
inline void Square<uint32_t, 16>::transpose() {
  transpose_in_registers(words);
}
#endif

inline bool along_k(const GemmOperand& operand) {
  return operand.order == GemmOrder::along_k;
}

// Vectors of an operand: `count` from `first` on, `elements` of k from `k` on.
struct Region {
  int64_t first, count;
  int64_t k, elements;
};

// Words of `count` elements by E::along or E::across; the number that is nearly always asked for is known to
// the compiler.
template <int64_t kUsual, class Make>
void make_words(int64_t count, const Make& make) {
  count == kUsual ? make(std::integral_constant<int64_t, kUsual>()) : make(count);
}

// Fills words[vector][k] where k is contiguous, words[k][vector] otherwise; what lies outside the region is
// 0.
template <class E, class S>
void load_square(const GemmOperand& operand, const Region& region, SquareOf<E>& square) {
  constexpr int64_t kElements = kSquare<E> * E::kPerWord;
  const S* data = static_cast<const S*>(operand.data);
  const int64_t words = ceil_div(region.elements, E::kPerWord);
  const int64_t lines = along_k(operand) ? region.count : words;
  const int64_t used = along_k(operand) ? words : region.count;
  if (lines < kSquare<E> || used < kSquare<E>) std::memset(&square, 0, sizeof(square));
  for (int64_t line = 0; line < lines; ++line) {
    typename E::Word* to = square.words[line];
    if (along_k(operand)) {
      const S* from = data + (region.first + line) * operand.stride + region.k;
      make_words<kElements>(region.elements, [&](auto count) { E::along(from, count, to); });
    } else {
      const int64_t k = line * E::kPerWord;
      const S* from = data + (region.k + k) * operand.stride + region.first;
      E::across(from, k + 1 < region.elements ? from + operand.stride : nullptr, region.count, to);
    }
  }
}

// Packs an operand the other way round than it lies: to[vector][k] with `stride` words between vectors where
// it lies across k, to[k][vector] with `stride` between words of k where it lies along k. What lies between
// the region and the next multiple of a square is 0.
template <class E, class S>
void pack_transposed(const GemmOperand& operand, const Region& region, typename E::Word* to, int64_t stride) {
  constexpr int64_t kElements = kSquare<E> * E::kPerWord;
  SquareOf<E> square;
  const auto pack_square = [&](int64_t i, int64_t k) {
    load_square<E, S>(operand,
                      {region.first + i, std::min(kSquare<E>, region.count - i), region.k + k,
                       std::min(kElements, region.elements - k)},
                      square);
    square.transpose();
    const int64_t word = k / E::kPerWord;
    const int64_t lines = along_k(operand) ? kSquare<E> : std::min(kSquare<E>, region.count - i);
    typename E::Word* target = along_k(operand) ? to + word * stride + i : to + i * stride + word;
    for (int64_t line = 0; line < lines; ++line) {
      std::copy_n(square.words[line], kSquare<E>, target + line * stride);
    }
  };
  // In the order in which the operand lies in memory.
  if (along_k(operand)) {
    for (int64_t i = 0; i < region.count; i += kSquare<E>) {
      for (int64_t k = 0; k < region.elements; k += kElements) pack_square(i, k);
    }
  } else {
    for (int64_t k = 0; k < region.elements; k += kElements) {
      for (int64_t i = 0; i < region.count; i += kSquare<E>) pack_square(i, k);
    }
  }
}

// Rows of A: to[row][kRowStride], 0 between the last word and the next multiple of a square.
template <class E, class S>
void pack_rows(const GemmOperand& a, const Region& rows, typename E::Word* to) {
  if (!along_k(a)) return pack_transposed<E, S>(a, rows, to, kRowStride);
  const int64_t words = ceil_div(rows.elements, E::kPerWord);
  const S* from = static_cast<const S*>(a.data) + rows.first * a.stride + rows.k;
  for (int64_t i = 0; i < rows.count; ++i, from += a.stride, to += kRowStride) {
    E::along(from, rows.elements, to);
    std::fill(to + words, to + round_up(words, kSquare<E>), typename E::Word{0});
  }
}

// Calls body(first, second, word) for the lines of an operand that lies across k: one or two of them make a
// word, the second one absent (null) at the end of an odd k.
template <class E, class S, class Body>
void for_each_line(const GemmOperand& operand, const Region& region, const Body& body) {
  constexpr int64_t kAhead = 8;  // lines far apart are not fetched ahead by the processor itself
  const S* line = static_cast<const S*>(operand.data) + region.k * operand.stride + region.first;
  for (int64_t k = 0; k < region.elements; k += E::kPerWord, line += E::kPerWord * operand.stride) {
    for (int64_t j = 0; j < E::kPerWord; ++j) {
      const S* ahead = line + (kAhead * E::kPerWord + j) * operand.stride;
      for (int64_t i = 0; i < region.count; i += 64 / static_cast<int64_t>(sizeof(S))) {
        __builtin_prefetch(ahead + i);
      }
    }
    body(line, k + 1 < region.elements ? line + operand.stride : nullptr, k / E::kPerWord);
  }
}

// Rows of A that lie across k: to[word of k][group] of the first `group` rows, those of the next group
// `group` kRowStride words behind them.
template <class E, class S>
void pack_across_rows(const GemmOperand& a, const Region& rows, int64_t group, typename E::Word* to) {
  constexpr int64_t kCopied = 16;
  DLCM_CHECK(group <= kCopied, "gemm: groups of ", group, " rows, expected at most ", kCopied);
  for_each_line<E, S>(a, rows, [&](const S* first, const S* second, int64_t word) {
    for (int64_t i = 0; i < rows.count; i += group) {
      // Whole vectors: what is too much is written again with the next word, or lies between the groups.
      typename E::Word line[kCopied];
      if (rows.count - i < kCopied) std::memset(line, 0, sizeof(line));
      make_words<kCopied>(std::min(kCopied, rows.count - i), [&](auto count) {
        E::across(first + i, second == nullptr ? nullptr : second + i, count, line);
      });
      std::memcpy(to + i * kRowStride + word * group, line, sizeof(line));
    }
  });
}

// A panel of columns of B: to[word of k][kKernelColumns].
template <class E, class S>
void pack_columns(const GemmOperand& b, const Region& columns, typename E::Word* to) {
  using Word = typename E::Word;
  static_assert(kKernelColumns<E> % kSquare<E> == 0);
  const int64_t words = ceil_div(columns.elements, E::kPerWord), padded_words = round_up(words, kSquare<E>);
  int64_t filled = columns.count;
  if (along_k(b)) {
    pack_transposed<E, S>(b, columns, to, kKernelColumns<E>);
    filled = round_up(filled, kSquare<E>);
  } else {
    for_each_line<E, S>(b, columns, [&](const S* first, const S* second, int64_t word) {
      make_words<kKernelColumns<E>>(
          columns.count, [&](auto count) { E::across(first, second, count, to + word * kKernelColumns<E>); });
    });
    std::fill_n(to + words * kKernelColumns<E>, (padded_words - words) * kKernelColumns<E>, Word{0});
  }
  for (int64_t word = 0; word < padded_words && filled < kKernelColumns<E>; ++word) {
    std::fill_n(to + word * kKernelColumns<E> + filled, kKernelColumns<E> - filled, Word{0});
  }
}

}  // namespace dlcm::cpu
