/* The return addresses of the calling thread, innermost first.  Called by stacks.c. */
#ifndef FO_REPORT_FRAMES_H
#define FO_REPORT_FRAMES_H

#include "base/base.h"

/* Load the unwinder.  Must not be called in a constructor that runs before libc's.  False: there is
 * none, or no memory for what is learned of frames. */
bool fo_frames_start(void);

/* At most `most` frames, after fo_frames_start(); returns how many. */
int fo_frames_walk(void **out, int most);

#endif
