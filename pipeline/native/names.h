/* Each variant's things have its name at their end: kernel_v3. VARIANT comes from the build. */
#ifndef ATTRAI_NAMES_H
#define ATTRAI_NAMES_H

#define JOIN_(name, variant) name##_##variant
#define JOIN(name, variant) JOIN_(name, variant)
#define OURS(name) JOIN(name, VARIANT)
#define TEXT_(word) #word
#define TEXT(word) TEXT_(word)

#endif
