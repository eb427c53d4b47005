// violates: nest-only-in-the-server
import { Injectable } from '@nestjs/common';

export const decorate = Injectable;
